/* SPDX-License-Identifier: Apache-2.0 */
/*
 * service.c - the two processes of service_test.go, in C, for sessions without
 * end: "front" passes requests of 8 bytes on and answers back, "back" makes each
 * answer from all requests before it. Each serves many sessions, a thread each.
 * "half" is the server of ended_test.go, that goes on.
 *
 *	service front SOCKET PORT
 *	service back SOCKET
 *	service half SOCKET
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "cbox.h"

static struct cbox_keeper *keeper;
static int is_half;

static void complain(const char *what, long err)
{
	fprintf(stderr, "C: %s: %s\n", what, cbox_strerror((int)err));
	_exit(1);
}

/* All of len bytes: 1; the end before the first: 0. */
static int whole(struct cbox *c, int chan, uint32_t slot, void *p, size_t len)
{
	for (size_t got = 0; got < len;) {
		ssize_t n = chan ? cbox_chan_read(c, slot, 0, (char *)p + got, len - got) : cbox_read(c, (char *)p + got, len - got);

		if (n <= 0)
			return n || got ? (int)(n ? n : -EPIPE) : 0;
		got += (size_t)n;
	}
	return 1;
}

static int all(ssize_t n, size_t len)
{
	return n == (ssize_t)len ? 0 : n < 0 ? (int)n : -EPIPE;
}

static int front(struct cbox *c)
{
	uint64_t n = 0, v;
	uint32_t slot;
	int err;

	cbox_import(c, &n, sizeof(n));
	err = cbox_associate(c, "back", 1, &slot);
	if (err)
		return err;
	err = cbox_keeper_hand(keeper, c, slot);
	while (!err && (err = whole(c, 0, 0, &v, sizeof(v))) > 0) {
		err = all(cbox_chan_write(c, slot, 0, &v, sizeof(v)), sizeof(v));
		if (!err)
			err = whole(c, 1, slot, &v, sizeof(v)) - 1;
		if (!err)
			err = all(cbox_write(c, &v, sizeof(v)), sizeof(v));
		if (!err && ++n % 3 == 0)
			err = cbox_export(c, &n, sizeof(n), 0);
	}
	return err ? err : cbox_chan_close(c, slot, 0, SHUT_WR);
}

struct chain {
	uint64_t n, state;
};

static int back(struct cbox *c)
{
	struct chain s = { 0, 0 };
	uint64_t v;
	int err;

	cbox_import(c, &s, sizeof(s));
	while ((err = whole(c, 1, BD_CBOX_NONE, &v, sizeof(v))) > 0) {
		s.state = (s.state ^ v) * 0x9e3779b97f4a7c15u;
		s.state ^= s.state >> 29;
		err = all(cbox_chan_write(c, BD_CBOX_NONE, 0, &s.state, sizeof(s.state)), sizeof(s.state));
		if (!err && ++s.n % 2 == 0)
			err = cbox_export(c, &s, sizeof(s), 0);
		if (err)
			return err;
	}
	return err;
}

/* Repeats what the process before it did, and goes on to the end. */
static int half(struct cbox *c)
{
	char b[100];
	size_t n = 0;
	ssize_t k;
	int err = whole(c, 0, 0, b, 4) - 1;

	if (!err)
		err = all(cbox_write(c, "hello", 5), 5);
	if (!err)
		err = cbox_shutdown(c, SHUT_WR);
	if (err)
		return err;
	while ((k = cbox_read(c, b + n, sizeof(b) - 1 - n)) > 0)
		n += (size_t)k;
	b[n] = 0;
	printf("rest %s\n", b);
	fflush(stdout);
	return (int)k;
}

static void *serve(void *p)
{
	struct cbox *c = p;
	int root = cbox_conn(c) >= 0, err = !root ? back(c) : is_half ? half(c) : front(c);

	if (err == -CBOX_EMIGRATED) {
		puts("EMIGRATED");
		fflush(stdout);
	}
	if (err == -CBOX_EMIGRATED || err == -EBADF) {
		cbox_abandon(c);
		return NULL;
	}
	if (err && err != -ECONNRESET)
		complain(root ? "front" : "back", err);
	err = cbox_close(c);
	if (err && err != -EBADF)
		complain("close", err);
	return NULL;
}

static void begin(struct cbox *c)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, serve, c) || pthread_detach(thread))
		complain("thread", -EAGAIN);
}

static int listener(uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = cbox_keeper_listener(keeper, port), err, on = 1;

	if (fd >= 0)
		return fd;
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		complain("bind", -errno);
	err = cbox_keeper_listen(keeper, fd);
	if (err)
		complain("have the listener kept", err);
	return fd;
}

static void redial(void)
{
	struct timespec pause = { 0, 50000000 };

	if (cbox_keeper_redial(keeper))
		nanosleep(&pause, NULL);
}

static void accepted(int fd)
{
	struct cbox_config cfg = { .processes = 2, .channels = 1, .name = "front", .keeper = keeper };
	int err, conn = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
	struct cbox *c;

	if (conn < 0)
		return; /* gone, or another process was quicker */
	c = cbox_create(conn, &cfg, &err);
	if (c) {
		begin(c);
		return;
	}
	if (*cbox_keeper_refusal()) {
		printf("refused: %s\n", cbox_keeper_refusal());
		fflush(stdout);
	}
	close(conn);
}

int main(int argc, char **argv)
{
	struct pollfd p[2] = { { .fd = -1, .events = POLLIN }, { .fd = -1, .events = POLLIN } };
	struct cbox *c;
	int err;

	if (argc < 3)
		return 2;
	keeper = cbox_keeper_dial(argv[2], argv[1], &err);
	if (!keeper)
		complain("dial", err);
	is_half = !strcmp(argv[1], "half");
	p[0].fd = cbox_keeper_fd(keeper);
	if (argc > 3)
		p[1].fd = listener((uint16_t)atoi(argv[3]));
	for (;;) {
		if (poll(p, 2, -1) < 0)
			complain("poll", -errno);
		if (p[0].revents) {
			c = cbox_keeper_take(keeper, &err);
			if (c)
				begin(c);
			else if (err == -EPIPE)
				redial(); /* it has gone: what is here goes on meanwhile */
		}
		if (p[1].revents)
			accepted(p[1].fd);
	}
}
