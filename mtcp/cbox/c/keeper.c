/* SPDX-License-Identifier: Apache-2.0 */
/* keeper.c - the process's side of kmod/uapi/scd.h. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "impl.h"

static_assert(sizeof(struct bd_scd_request) == 80 && offsetof(struct bd_scd_request, name) == 48, "request");
static_assert(sizeof(struct bd_scd_answer) == 16 && offsetof(struct bd_scd_answer, error) == 12, "answer");

struct cbox_keeper {
	int sock, bell, sessions;
};

/* One request and its answer; *fd is what came along, or -1. */
static int ask(struct cbox_keeper *k, struct bd_scd_request *q, const int *fds, unsigned n, int *fd)
{
	struct bd_scd_answer a;
	int got[4], err;
	unsigned ngot;

	q->magic = BD_SCD_MAGIC;
	err = send_fds(k->sock, q, sizeof(*q), fds, n);
	if (!err)
		err = recv_fds(k->sock, &a, sizeof(a), got, &ngot);
	if (err)
		return err;
	if (a.magic == BD_SCD_MAGIC && a.kind == q->kind && a.error >= 0 && ngot == (fd && !a.error ? 1u : 0u)) {
		if (ngot)
			*fd = got[0];
		return -a.error;
	}
	close_fds(got, ngot);
	return -EBADMSG;
}

static int dial(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd, err;

	if (strlen(path) >= sizeof(a.sun_path))
		return -ENAMETOOLONG;
	strcpy(a.sun_path, path);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0)
		return fd;
	err = -errno;
	close(fd);
	return err;
}

/* Introduces this process: its bell, and where it takes sessions. */
static int hello(struct cbox_keeper *k, const char *name)
{
	struct bd_scd_request q = { .kind = BD_SCD_HELLO };
	int pair[2], fds[2], err;

	if (!*name || strlen(name) >= sizeof(q.name))
		return -EMSGSIZE;
	memcpy(q.name, name, strlen(name));
	k->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (k->bell < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	k->sessions = pair[0];
	fds[0] = k->bell;
	fds[1] = pair[1];
	err = ask(k, &q, fds, 2, NULL);
	close(pair[1]);
	return err;
}

struct cbox_keeper *cbox_keeper_dial(const char *path, const char *name, int *err)
{
	struct cbox_keeper *k = malloc(sizeof(*k));

	*err = -ENOMEM;
	if (!k)
		return NULL;
	k->bell = k->sessions = -1;
	k->sock = dial(path);
	*err = k->sock < 0 ? k->sock : hello(k, name);
	if (!*err)
		return k;
	cbox_keeper_close(k);
	return NULL;
}

void cbox_keeper_close(struct cbox_keeper *k)
{
	int fds[3] = { k->sock, k->bell, k->sessions };

	for (int i = 0; i < 3; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	free(k);
}

int cbox_keeper_fd(const struct cbox_keeper *k)
{
	return k->sessions;
}

int keeper_bell(const struct cbox_keeper *k)
{
	return k->bell;
}

struct cbox *cbox_keeper_take(struct cbox_keeper *k, int *err)
{
	struct cbox *c = cbox_take(k->sessions, err);

	if (c) {
		c->keeper = k;
		c->bell = k->bell;
	}
	return c;
}

static struct bd_scd_request about(const struct cbox *c, uint32_t kind)
{
	struct bd_scd_request q = { .kind = kind, .slot = c->slot, .offset = c->where.offset, .length = c->where.length };

	memcpy(q.session, c->fixed.session, sizeof(q.session));
	return q;
}

int keeper_keep(struct cbox_keeper *k, const struct cbox *c)
{
	struct bd_scd_request q = about(c, BD_SCD_KEEP);
	int fds[2] = { c->where.fd, c->conn };

	return ask(k, &q, fds, 2, NULL);
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
	struct bd_scd_request q = { .kind = BD_SCD_LISTEN };

	return ask(k, &q, &listener, 1, NULL);
}

int cbox_keeper_listener(struct cbox_keeper *k, uint16_t port)
{
	struct bd_scd_request q = { .kind = BD_SCD_LISTENER, .port = port };
	int fd = -1, err = ask(k, &q, NULL, 0, &fd);

	return err ? err : fd;
}
