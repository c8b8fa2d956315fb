/* SPDX-License-Identifier: Apache-2.0 */
/* socket.c - the set-up's messages, and what went wrong. */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "fds.h"
#include "impl.h"

static char said[512];

int fail(int err, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(said, sizeof(said), format, ap);
	va_end(ap);
	return err;
}

const char *dsm_error(void)
{
	return said;
}

/* A daemon answers at once, or within a minute on a host that is busy. */
int connect_to(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	struct timeval minute = { .tv_sec = 60 };
	int s, err;

	if (strlen(path) >= sizeof(a.sun_path))
		return fail(-ENAMETOOLONG, "the socket %s: its name is too long", path);
	strcpy(a.sun_path, path);
	s = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (s < 0)
		return fail(-errno, "a socket: %s", strerror(errno));
	setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &minute, sizeof(minute));
	if (connect(s, (struct sockaddr *)&a, sizeof(a)) == 0)
		return s;
	err = fail(-errno, "no daemon listens at %s: %s", path, strerror(errno));
	close(s);
	return err;
}

int send_message(int conn, const void *p, size_t len, const int *fds, unsigned n)
{
	int err = send_fds(conn, p, len, fds, n);

	return err < 0 ? fail(err, "tell the daemon: %s", strerror(-err)) : 0;
}

/* Its descriptors are the caller's, four at most. */
int receive_message(int conn, void *p, size_t len, int *fds, unsigned *n)
{
	int err = recv_fds(conn, p, len, fds, n);

	return err < 0 ? fail(err, "hear the daemon: %s", strerror(-err)) : 0;
}
