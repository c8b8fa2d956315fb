/* SPDX-License-Identifier: Apache-2.0 */
/*
 * files.c - sends files over HTTP/1.0, in sessions that outlive its processes
 * (§2.7.2). A thread for each session.
 *
 *	files SOCKET PORT FOLDER [ADDRESS]
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cbox.h"

enum { BLOCK = 8192, LONGEST = 1024 };

static struct cbox_keeper *keeper;
static int root; /* the folder */

/* What a snapshot says: the request, and how much of the file has been sent. */
struct state {
	uint64_t sent;
	uint32_t begun; /* the header has been sent */
	char path[LONGEST];
};

static void complain(const char *what, long err)
{
	fprintf(stderr, "files: %s: %s\n", what, cbox_strerror((int)err));
	_exit(1);
}

static int all(ssize_t n, size_t len)
{
	return n == (ssize_t)len ? 0 : n < 0 ? (int)n : -EPIPE;
}

static int say(struct cbox *c, const char *text)
{
	return all(cbox_write(c, text, strlen(text)), strlen(text));
}

/* Reads a request up to its empty line: what it asks for, or "" if that is nothing. */
static int request(struct cbox *c, char path[LONGEST])
{
	char b[4 * LONGEST];
	size_t n = 0;

	do {
		ssize_t k = cbox_read(c, b + n, sizeof(b) - 1 - n);

		if (k <= 0)
			return k ? (int)k : -ECONNRESET;
		n += (size_t)k;
		b[n] = 0;
	} while (!strstr(b, "\r\n\r\n") && n < sizeof(b) - 1);
	if (sscanf(b, "GET /%1023[^ \r\n] HTTP/1.", path) != 1 || strstr(path, "..") || path[0] == '/')
		path[0] = 0;
	return 0;
}

static int header(struct cbox *c, int file)
{
	struct stat st;
	char b[128];

	if (file < 0 || fstat(file, &st) < 0 || !S_ISREG(st.st_mode))
		return say(c, "HTTP/1.0 404 Not Found\r\nContent-Length: 0\r\n\r\n");
	snprintf(b, sizeof(b), "HTTP/1.0 200 OK\r\nContent-Length: %lld\r\n\r\n", (long long)st.st_size);
	return say(c, b);
}

/* Sends the rest of a file, in blocks with a snapshot behind each. */
static int body(struct cbox *c, struct state *s, int file)
{
	char b[BLOCK];

	for (;;) {
		ssize_t n = pread(file, b, sizeof(b), (off_t)s->sent);
		int err;

		if (n <= 0)
			return n ? -errno : 0;
		err = all(cbox_write(c, b, (size_t)n), (size_t)n);
		s->sent += (uint64_t)n;
		if (!err)
			err = cbox_export(c, s, sizeof(*s), 0);
		if (err)
			return err;
	}
}

static int answer(struct cbox *c)
{
	struct state s = { 0 };
	int err = 0, file;

	if (cbox_import(c, &s, sizeof(s)) < 0) {
		err = request(c, s.path);
		if (!err)
			err = cbox_export(c, &s, sizeof(s), 0);
	}
	if (err)
		return err;
	s.path[LONGEST - 1] = 0;
	file = openat(root, s.path[0] ? s.path : ".", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (!s.begun) {
		s.begun = 1;
		err = header(c, file);
	}
	if (!err && file >= 0 && s.path[0])
		err = body(c, &s, file);
	if (file >= 0)
		close(file);
	return err == -EISDIR ? 0 : err;
}

static void *serve(void *p)
{
	struct cbox *c = p;
	int err = answer(c);

	if (err == -CBOX_EMIGRATED || err == -EBADF) /* the session is elsewhere */
		cbox_abandon(c);
	else
		cbox_close(c); /* the file is sent, or the client is gone */
	return NULL;
}

static void begin(struct cbox *c)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, serve, c) || pthread_detach(thread))
		complain("thread", -EAGAIN);
}

static int listener(const char *address, uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = cbox_keeper_listener(keeper, port), err, on = 1;

	if (fd >= 0)
		return fd; /* that of the process before */
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (inet_pton(AF_INET, address, &a.sin_addr) != 1)
		complain(address, -EINVAL);
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		complain("bind", -errno);
	err = cbox_keeper_listen(keeper, fd);
	if (err)
		complain("have the listener kept", err);
	return fd;
}

static void accepted(int fd)
{
	struct cbox_config cfg = { .name = "files", .keeper = keeper };
	int err, conn = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
	struct cbox *c = conn < 0 ? NULL : cbox_create(conn, &cfg, &err);

	if (c)
		begin(c);
	else if (conn >= 0)
		close(conn); /* it cannot be moved */
}

static void handed(void)
{
	struct timespec pause = { 0, 50000000 };
	int err;
	struct cbox *c = cbox_keeper_take(keeper, &err);

	if (c)
		begin(c);
	else if (err == -EPIPE && cbox_keeper_redial(keeper))
		nanosleep(&pause, NULL); /* the keeper has gone: what is here goes on meanwhile */
}

int main(int argc, char **argv)
{
	struct pollfd p[2] = { { .events = POLLIN }, { .events = POLLIN } };
	int err;

	if (argc != 4 && argc != 5) {
		fputs("files SOCKET PORT FOLDER [ADDRESS]\n", stderr);
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	root = open(argv[3], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		complain(argv[3], -errno);
	keeper = cbox_keeper_dial(argv[1], "files", &err);
	if (!keeper)
		complain("dial the keeper", err);
	p[0].fd = cbox_keeper_fd(keeper);
	p[1].fd = listener(argc == 5 ? argv[4] : "127.0.0.1", (uint16_t)atoi(argv[2]));
	while (poll(p, 2, -1) >= 0 || errno == EINTR) {
		if (p[0].revents)
			handed();
		if (p[1].revents)
			accepted(p[1].fd);
	}
	complain("poll", -errno);
}
