/* SPDX-License-Identifier: Apache-2.0 */
/* keeper.c - the process's side of kmod/uapi/scd.h. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "fds.h"
#include "impl.h"

static_assert(sizeof(struct bd_scd_request) == 88 && offsetof(struct bd_scd_request, name) == 56, "request");
static_assert(sizeof(struct bd_scd_answer) == 32 && offsetof(struct bd_scd_answer, most) == 24, "answer");

#define LISTENERS	16
#define BACKLOG		65535	/* as many as the kernel lets wait */

struct cbox_keeper {
	pthread_mutex_t mu;
	int sock, bell, sessions;	/* sock: -1 while it is away */
	struct cbox *boxes;		/* that it keeps, a list */
	int listeners[LISTENERS];	/* likewise, duplicates */
	unsigned nlisteners;
	char name[BD_CBOX_NAME];
	struct sockaddr_un at;
};

/* A thread's, as errno is: another's request in between would wipe it out. */
static _Thread_local char refusal[80];

/* As keeper.LimitError of Go says it. */
static void refused(const struct bd_scd_answer *a)
{
	static const char *const what[] = { "of something", "sessions", "bytes of boxes", "processes", "listeners", "bytes in a box", "slots" };
	const char *whose = a->limit == BD_SCD_BOX ? "" : a->user ? " of one user" : " of all users";

	if (a->limit)
		snprintf(refusal, sizeof(refusal), "at most %llu %s%s", (unsigned long long)a->most,
			 what[a->limit < sizeof(what) / sizeof(*what) ? a->limit : 0], whose);
}

const char *cbox_keeper_refusal(void)
{
	return refusal;
}

/* One request and its answer; *fd is what came along, or -1. */
static int exchange(struct cbox_keeper *k, struct bd_scd_request *q, const int *fds, unsigned n, int *fd)
{
	struct bd_scd_answer a;
	int got[4], err;
	unsigned ngot;

	refusal[0] = 0;
	if (k->sock < 0)
		return -EPIPE;
	q->magic = BD_SCD_MAGIC;
	err = send_fds(k->sock, q, sizeof(*q), fds, n);
	if (!err)
		err = recv_fds(k->sock, &a, sizeof(a), got, &ngot);
	if (err)
		return err;
	if (a.magic == BD_SCD_MAGIC && a.kind == q->kind && a.error >= 0 && ngot == (fd && !a.error ? 1u : 0u)) {
		if (ngot)
			*fd = got[0];
		refused(&a);
		return -a.error;
	}
	close_fds(got, ngot);
	return -EBADMSG;
}

static int ask(struct cbox_keeper *k, struct bd_scd_request *q, const int *fds, unsigned n, int *fd)
{
	int err;

	pthread_mutex_lock(&k->mu);
	err = exchange(k, q, fds, n, fd);
	pthread_mutex_unlock(&k->mu);
	return err;
}

/* Introduces this process: its bell, and where it takes sessions. */
static int hello(struct cbox_keeper *k)
{
	struct bd_scd_request q = { .kind = BD_SCD_HELLO };
	int pair[2], fds[2], err;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	memcpy(q.name, k->name, sizeof(q.name));
	fds[0] = k->bell;
	fds[1] = pair[1];
	err = exchange(k, &q, fds, 2, NULL);
	close(pair[1]);
	if (err || k->sessions < 0) {
		if (err)
			close(pair[0]);
		else
			k->sessions = pair[0];
		return err;
	}
	err = dup3(pair[0], k->sessions, O_CLOEXEC) < 0 ? -errno : 0; /* whoever polls it need not know */
	close(pair[0]);
	return err;
}

static int dial(struct cbox_keeper *k)
{
	int err;

	if (k->sock >= 0)
		close(k->sock);
	k->sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (k->sock < 0)
		return -errno;
	err = connect(k->sock, (struct sockaddr *)&k->at, sizeof(k->at)) < 0 ? -errno : hello(k);
	if (err) {
		close(k->sock);
		k->sock = -1;
	}
	return err;
}

struct cbox_keeper *cbox_keeper_dial(const char *path, const char *name, int *err)
{
	struct cbox_keeper *k;

	*err = -ENAMETOOLONG;
	if (!*name || strlen(name) >= sizeof(k->name) || strlen(path) >= sizeof(k->at.sun_path))
		return NULL;
	k = calloc(1, sizeof(*k));
	*err = -ENOMEM;
	if (!k)
		return NULL;
	pthread_mutex_init(&k->mu, NULL);
	k->sock = k->sessions = -1;
	memcpy(k->name, name, strlen(name));
	k->at.sun_family = AF_UNIX;
	memcpy(k->at.sun_path, path, strlen(path));
	k->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	*err = k->bell < 0 ? -errno : dial(k);
	if (!*err)
		return k;
	cbox_keeper_close(k);
	return NULL;
}

static struct bd_scd_request about(const struct cbox *c, uint32_t kind)
{
	struct bd_scd_request q = { .kind = kind, .slot = c->slot, .offset = c->where.offset, .length = c->where.length,
				    .generation = c->fixed.generation };

	memcpy(q.session, c->fixed.session, sizeof(q.session));
	return q;
}

static int keep(struct cbox_keeper *k, const struct cbox *c)
{
	struct bd_scd_request q = about(c, BD_SCD_KEEP);
	int fds[2] = { c->where.fd, c->conn };

	return exchange(k, &q, fds, c->conn < 0 ? 1 : 2, NULL);
}

static int listen_too(struct cbox_keeper *k, int fd)
{
	struct bd_scd_request q = { .kind = BD_SCD_LISTEN };

	return exchange(k, &q, &fd, 1, NULL);
}

/* The keeper has it before it listens: nobody is in its queue who would be lost with us. */
static int keep_and_listen(struct cbox_keeper *k, int fd)
{
	socklen_t len = sizeof(int);
	int listens, err;

	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) < 0)
		return -errno;
	err = listen_too(k, fd);
	if (listens || (err && err != -EPROTOTYPE)) /* a keeper of an older release has those alone that listen */
		return err;
	if (listen(fd, BACKLOG) < 0)
		return -errno;
	return err ? listen_too(k, fd) : 0;
}

int cbox_keeper_redial(struct cbox_keeper *k)
{
	int err;

	pthread_mutex_lock(&k->mu);
	err = dial(k);
	for (unsigned i = 0; !err && i < k->nlisteners; i++)
		listen_too(k, k->listeners[i]);
	for (struct cbox *c = k->boxes; !err && c; c = c->next)
		keep(k, c); /* one that it refuses goes on unprotected */
	pthread_mutex_unlock(&k->mu);
	return err;
}

void cbox_keeper_close(struct cbox_keeper *k)
{
	int fds[3] = { k->sock, k->bell, k->sessions };

	for (int i = 0; i < 3; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	close_fds(k->listeners, k->nlisteners);
	pthread_mutex_destroy(&k->mu);
	free(k);
}

/* c is one of those that it keeps from now on. */
static void add(struct cbox_keeper *k, struct cbox *c)
{
	c->keeper = k;
	c->bell = k->bell;
	c->next = k->boxes;
	k->boxes = c;
}

void keeper_forget(struct cbox_keeper *k, struct cbox *c)
{
	struct cbox **at;

	pthread_mutex_lock(&k->mu);
	for (at = &k->boxes; *at && *at != c; at = &(*at)->next)
		;
	if (*at)
		*at = c->next;
	pthread_mutex_unlock(&k->mu);
}

int keeper_keep(struct cbox_keeper *k, struct cbox *c)
{
	int err;

	pthread_mutex_lock(&k->mu);
	err = keep(k, c);
	if (!err)
		add(k, c);
	pthread_mutex_unlock(&k->mu);
	return err;
}

int cbox_keeper_fd(const struct cbox_keeper *k)
{
	return k->sessions;
}

/* Nobody can go on with a session that was handed over here: its client gets a reset. */
static void give_up(struct cbox_keeper *k, const struct bd_cbox_pass *p)
{
	struct bd_scd_request q = { .kind = BD_SCD_DONE, .generation = p->generation };

	memcpy(q.session, p->session, sizeof(q.session));
	ask(k, &q, NULL, 0, NULL);
}

struct cbox *cbox_keeper_take(struct cbox_keeper *k, int *err)
{
	struct bd_cbox_pass p;
	struct cbox *c = pass_take(k->sessions, &p, err);

	if (c) {
		pthread_mutex_lock(&k->mu);
		add(k, c);
		pthread_mutex_unlock(&k->mu);
	} else if (p.magic && p.slot == 0 && *err != -EBADF && *err != -CBOX_EMIGRATED) {
		give_up(k, &p);
	}
	return c;
}

int keeper_done(struct cbox_keeper *k, const struct cbox *c)
{
	struct bd_scd_request q = about(c, BD_SCD_DONE);

	return ask(k, &q, NULL, 0, NULL);
}

int cbox_keeper_hand(struct cbox_keeper *k, const struct cbox *c, uint32_t slot)
{
	struct bd_scd_request q = about(c, BD_SCD_HAND);

	q.slot = slot;
	return ask(k, &q, NULL, 0, NULL);
}

int cbox_keeper_listen(struct cbox_keeper *k, int listener)
{
	int err, fd = fcntl(listener, F_DUPFD_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	pthread_mutex_lock(&k->mu);
	err = k->nlisteners == LISTENERS ? -ENOSPC : keep_and_listen(k, fd);
	if (!err)
		k->listeners[k->nlisteners++] = fd;
	pthread_mutex_unlock(&k->mu);
	if (err)
		close(fd);
	return err;
}

int cbox_keeper_listener(struct cbox_keeper *k, uint16_t port)
{
	struct bd_scd_request q = { .kind = BD_SCD_LISTENER, .port = port };
	int fd = -1, err = ask(k, &q, NULL, 0, &fd);

	if (err)
		return err;
	cbox_keeper_listen(k, fd); /* so that the next keeper is told of it, too */
	return fd;
}
