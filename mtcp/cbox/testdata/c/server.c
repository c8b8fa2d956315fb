/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server.c - the processes of kill_test.go, in C: "root" answers requests of 8
 * bytes, "back end" adds to each byte how many came before it. Their snapshots
 * are those of the Go processes, so that either goes on where the other died.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "cbox.h"

static int complain(const char *what, long err)
{
	fprintf(stderr, "C: %s: %s\n", what, cbox_strerror((int)err));
	return 1;
}

static uint64_t step(uint64_t s, uint64_t v)
{
	s = (s ^ v) * 0x9e3779b97f4a7c15u;
	return s ^ s >> 29;
}

struct state {
	uint64_t state, n, drawing;
};

/* 1: a request, 0: the end. */
static int request(struct cbox *c, uint64_t *v)
{
	for (size_t got = 0; got < sizeof(*v);) {
		ssize_t n = cbox_read(c, (char *)v + got, sizeof(*v) - got);

		if (n <= 0)
			return got || n ? (int)(n ? n : -EPIPE) : 0;
		got += (size_t)n;
	}
	return 1;
}

static int answer(struct cbox *c, struct state *s)
{
	int on = s->n % 2 == 0, err = 0;
	ssize_t n;

	if (s->drawing) {
		uint64_t v;

		if (getrandom(&v, sizeof(v), 0) != sizeof(v))
			return -EIO;
		s->state = step(s->state, v);
	}
	if (s->n % 7 == 0)
		err = cbox_setsockopt(c, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (err)
		return err;
	n = cbox_write(c, &s->state, sizeof(s->state));
	if (n != sizeof(s->state))
		return n < 0 ? (int)n : -EPIPE;
	if (s->drawing || s->n % 3 == 0) {
		s->drawing = 0;
		err = cbox_export(c, s, sizeof(*s), 0);
	}
	return err;
}

static int root(void)
{
	struct state s = { 0, 0, 0 };
	uint64_t v;
	int err;
	struct cbox *c = cbox_take(3, &err);

	if (!c)
		return complain("take", err);
	cbox_import(c, &s, sizeof(s));
	for (;; s.drawing = 0) {
		if (!s.drawing) { /* else it died in mid-answer, and this is where it goes on */
			err = request(c, &v);
			if (err <= 0)
				break;
			s.state = step(s.state, v);
			if (++s.n % 5 == 0) {
				s.drawing = 1;
				err = cbox_export(c, &s, sizeof(s), 1);
				if (err)
					break;
			}
		}
		err = answer(c, &s);
		if (err)
			break;
	}
	if (err)
		return complain("serve", err);
	err = cbox_close(c);
	return err ? complain("close", err) : 0;
}

struct count {
	uint64_t n;
	uint8_t rest[100]; /* read and not written yet: part of the state */
	size_t len;
};

static int export(struct cbox *c, const struct count *k)
{
	return cbox_export(c, k, sizeof(k->n) + k->len, 0);
}

static int pass_on(struct cbox *c, struct count *k)
{
	while (k->len) {
		ssize_t n = cbox_chan_write(c, BD_CBOX_NONE, 0, k->rest, k->len);

		if (n == -CBOX_ELOGFULL)
			n = export(c, k);
		if (n < 0)
			return (int)n;
		k->len -= (size_t)n;
		memmove(k->rest, k->rest + n, k->len);
	}
	return 0;
}

static int counting(struct cbox *c)
{
	struct count k = { 0 };
	ssize_t n = cbox_import(c, &k, sizeof(k));
	int err;

	k.len = n < 0 ? 0 : (size_t)n - sizeof(k.n);
	for (;;) {
		err = pass_on(c, &k);
		if (err)
			return err;
		n = cbox_chan_read(c, BD_CBOX_NONE, 0, k.rest, sizeof(k.rest));
		if (n == 0) {
			err = cbox_chan_close(c, BD_CBOX_NONE, 0, 1 /* SHUT_WR */);
			return err;
		}
		if (n == -CBOX_ELOGFULL) {
			err = export(c, &k);
			if (err)
				return err;
			continue;
		}
		if (n < 0)
			return (int)n;
		for (ssize_t i = 0; i < n; i++)
			k.rest[i] += (uint8_t)k.n++;
		k.len = (size_t)n;
		if (k.n % 3 == 0 && (err = export(c, &k)))
			return err;
	}
}

static void *count(void *p)
{
	int err = counting(p);

	if (!err)
		err = cbox_close(p);
	if (err)
		exit(complain("back end", err));
	return NULL;
}

static int back_end(void)
{
	pthread_attr_t attr;
	pthread_t thread;
	int err;

	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	for (;;) {
		struct cbox *c = cbox_take(3, &err);

		if (!c && err == -EBADF)
			continue; /* done with, by the one before */
		if (!c && err == -EPIPE)
			return 0;
		if (!c)
			return complain("take", err);
		if (pthread_create(&thread, &attr, count, c))
			return complain("thread", -EAGAIN);
	}
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "root"))
		return root();
	if (argc == 2 && !strcmp(argv[1], "back end"))
		return back_end();
	return 2;
}
