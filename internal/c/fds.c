/* SPDX-License-Identifier: Apache-2.0 */
/* fds.c - messages with descriptors over unix sockets. */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fds.h"

union control {
	char buf[CMSG_SPACE(FDS_MAX * sizeof(int))];
	struct cmsghdr align;
};

/* One message with n descriptors. */
int send_fds(int sock, const void *p, size_t len, const int *fds, unsigned n)
{
	struct iovec iov = { (void *)p, len };
	union control ctl = { { 0 } };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *c;
	ssize_t k;

	if (n) {
		m.msg_control = ctl.buf;
		m.msg_controllen = CMSG_SPACE(n * sizeof(int));
		c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n * sizeof(int));
		memcpy(CMSG_DATA(c), fds, n * sizeof(int));
	}
	do
		k = sendmsg(sock, &m, MSG_NOSIGNAL);
	while (k < 0 && errno == EINTR);
	return k < 0 ? -errno : 0;
}

/* One message of len bytes; *n descriptors, at most FDS_MAX, which are the caller's. */
int recv_fds(int sock, void *p, size_t len, int *fds, unsigned *n)
{
	struct iovec iov = { p, len };
	union control ctl;
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = ctl.buf, .msg_controllen = sizeof(ctl) };
	ssize_t k;

	*n = 0;
	do
		k = recvmsg(sock, &m, MSG_CMSG_CLOEXEC);
	while (k < 0 && errno == EINTR);
	if (k <= 0)
		return k ? -errno : -EPIPE;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS || c->cmsg_len < CMSG_LEN(0))
			continue;
		*n = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		memcpy(fds, CMSG_DATA(c), *n * sizeof(int));
	}
	if ((size_t)k == len && !(m.msg_flags & (MSG_TRUNC | MSG_CTRUNC)))
		return 0;
	close_fds(fds, *n);
	*n = 0;
	return -EBADMSG;
}

void close_fds(const int *fds, unsigned n)
{
	while (n--)
		if (fds[n] >= 0)
			close(fds[n]);
}
