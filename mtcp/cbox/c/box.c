/* SPDX-License-Identifier: Apache-2.0 */
/* box.c - to make, resume, open, close and give up a session's part in this process. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "impl.h"

/* Maps a box and finds a slot in it. */
static struct cbox *map(const struct cbox_region *r, uint32_t slot, int *err)
{
	struct cbox *c = calloc(1, sizeof(*c));
	struct head x;

	*err = -ENOMEM;
	if (!c)
		return NULL;
	c->where = *r;
	c->slot = slot;
	c->conn = c->bell = c->epoll = -1;
	*err = region_map(r, &c->m);
	if (*err)
		goto no_map;
	*err = head_read(c->m, r->length, &x);
	if (*err)
		goto no_head;
	if (!head_joined(&x, slot)) {
		*err = -CBOX_EDAMAGED;
		goto no_slot;
	}
	c->fixed = x.h;
	c->h = (struct bd_cbox_head *)c->m;
	c->proc = (struct bd_cbox_proc *)(c->m + x.h.procs.off) + slot;
	c->snap_off = x.procs[slot].snap_off;
	c->snap_len = x.procs[slot].snap_len;
	c->parent = x.procs[slot].parent;
	head_free(&x);
	return c;
no_slot:
	head_free(&x);
no_head:
	munmap(c->m, r->length);
no_map:
	free(c);
	return NULL;
}

/* Gives up the mapping, but no descriptor that came from outside. */
static void drop(struct cbox *c)
{
	if (c->keeper)
		keeper_forget(c->keeper, c);
	for (unsigned i = 0; i < c->nends; i++)
		free(c->ends[i]);
	munmap(c->m, c->where.length);
	if (c->epoll >= 0)
		close(c->epoll);
	free(c->state);
	free(c);
}

static struct cbox *take_over(const struct cbox_region *r, uint32_t slot, int conn, int *err)
{
	struct cbox *c;
	int again;

	do {
		c = map(r, slot, err);
		if (!c)
			return NULL;
		c->conn = conn;
		*err = box_take_over(c);
		if (!*err)
			return c;
		again = box_stays(c, err);
		drop(c);
	} while (again);
	return NULL;
}

struct cbox *cbox_resume(const struct cbox_region *r, int conn, int *err)
{
	return take_over(r, 0, conn, err);
}

struct cbox *cbox_open(const struct cbox_region *r, uint32_t slot, int *err)
{
	*err = -EINVAL;
	return slot ? take_over(r, slot, -1, err) : NULL; /* the root's is resumed, with its connection */
}

static void put_addr(struct bd_cbox_addr *to, int fd, int (*name)(int, struct sockaddr *, socklen_t *))
{
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} a;
	socklen_t n = sizeof(a);

	memset(&a, 0, sizeof(a));
	memset(to, 0, sizeof(*to));
	if (name(fd, &a.any, &n) < 0)
		return;
	if (a.any.sa_family == AF_INET) {
		to->family = AF_INET;
		to->port = ntohs(a.v4.sin_port);
		memcpy(to->addr, &a.v4.sin_addr, 4);
	} else if (a.any.sa_family == AF_INET6) {
		int mapped = IN6_IS_ADDR_V4MAPPED(&a.v6.sin6_addr);

		to->family = mapped ? AF_INET : AF_INET6;
		to->port = ntohs(a.v6.sin6_port);
		to->scope = mapped ? 0 : a.v6.sin6_scope_id;
		memcpy(to->addr, a.v6.sin6_addr.s6_addr + (mapped ? 12 : 0), mapped ? 4 : 16);
	}
}

/* Fills a new region with the box of a connection. */
static int fill(const struct cbox_region *r, int conn, uint8_t *b)
{
	struct bd_cbox_head *h = (struct bd_cbox_head *)b;
	uint64_t read, written;
	uint8_t *m;
	int err = conn_offsets(conn, 0, 0, &read, &written);

	if (err)
		return err;
	if (getrandom(h->session, sizeof(h->session), 0) != sizeof(h->session))
		return -EIO;
	h->generation = 1;
	h->state = BD_CBOX_LIVE;
	put_addr(&h->local, conn, getsockname);
	put_addr(&h->remote, conn, getpeername);
	h->read_base = -read;
	h->write_base = -written;
	err = region_map(r, &m);
	if (err)
		return err;
	layout_write(m, b);
	munmap(m, r->length);
	return 0;
}

struct cbox *cbox_create(int conn, const struct cbox_config *cfg, int *err)
{
	static const struct cbox_config standard;
	struct cbox_region r;
	struct cbox *c = NULL;
	uint8_t *b;

	cfg = cfg ? cfg : &standard;
	*err = conn_check(conn);
	b = *err ? NULL : layout(cfg, err);
	if (!b)
		return NULL;
	*err = region_new(&r, ((struct bd_cbox_head *)b)->len, conn);
	if (*err)
		goto out;
	*err = fill(&r, conn, b);
	if (!*err)
		c = cbox_resume(&r, conn, err);
	if (c && cfg->keeper && (*err = keeper_keep(cfg->keeper, c))) {
		drop(c);
		c = NULL;
	}
	if (!c)
		close(r.fd);
out:
	free(b);
	return c;
}

void cbox_abandon(struct cbox *c)
{
	int fd = c->where.fd, conn = c->conn;

	drop(c);
	close(fd);
	if (conn >= 0)
		close(conn);
}

/* The last snapshot: nobody resumes this process. */
static int finish(struct cbox *c)
{
	int err = box_begin(c);

	if (err)
		return err;
	for (unsigned i = 0; c->conn < 0 && i < c->nends; i++)
		end_close(c, c->ends[i]);
	err = snap_take(c, NULL, 0, BD_CBOX_SNAP_FINAL | BD_CBOX_SNAP_SHUT);
	STORE(&c->proc->state, BD_CBOX_PROC_DONE);
	box_leave(c);
	return err;
}

/* Sends what was held, and the FIN behind it. -EAGAIN: the keeper has to do it. */
static int flush(struct cbox *c)
{
	struct pollfd p = { .fd = c->conn, .events = POLLOUT };
	int err;

	for (c->shut_due = 1;;) {
		err = box_begin(c);
		if (err)
			return err;
		err = conn_send(c);
		box_leave(c);
		if (err != -EAGAIN || c->keeper)
			return err;
		poll(&p, 1, -1);
	}
}

static int nothing(struct cbox *c, const struct bd_cbox_act *a)
{
	(void)c;
	(void)a;
	return 0;
}

static void over(struct cbox *c)
{
	if (box_begin(c))
		return;
	STORE(&c->h->state, BD_CBOX_CLOSED);
	futex_wake(&c->h->state);
	box_leave(c);
}

static int close_root(struct cbox *c)
{
	struct bd_cbox_act act = { .kind = BD_CBOX_CLOSE };
	int err = act_do(c, &act, nothing), sent = 0;

	if (!err || err == -CBOX_ELOGFULL)
		err = finish(c);
	if (err == -EAGAIN)
		return err;
	if (err == -CBOX_EDIVERGED) /* a FIN would say that this was all */
		setsockopt(c->conn, SOL_SOCKET, SO_LINGER, &(struct linger){ 1, 0 }, sizeof(struct linger));
	if (!err)
		sent = err = flush(c);
	if (sent != -EAGAIN)
		over(c);
	if (!c->keeper || err == -CBOX_EMIGRATED || !keeper_done(c->keeper, c))
		return sent == -EAGAIN ? 0 : err;
	if (sent != -EAGAIN)
		return err;
	keeper_forget(c->keeper, c);
	c->keeper = NULL; /* it has gone, and with it who was to do the rest */
	err = flush(c);
	over(c);
	return err;
}

int cbox_close(struct cbox *c)
{
	int err = c->conn < 0 ? finish(c) : close_root(c);

	if (err == -EAGAIN)
		return err;
	cbox_abandon(c);
	return err == -CBOX_EMIGRATED ? 0 : err;
}

const struct cbox_region *cbox_where(const struct cbox *c)
{
	return &c->where;
}

void cbox_session(const struct cbox *c, uint8_t id[16], uint64_t *generation)
{
	memcpy(id, c->fixed.session, sizeof(c->fixed.session));
	if (generation)
		*generation = c->fixed.generation;
}

void cbox_positions(const struct cbox *c, uint64_t *read, uint64_t *written)
{
	*read = c->up.pos;
	*written = c->down.pos;
}

uint32_t cbox_slot(const struct cbox *c)
{
	return c->slot;
}

int cbox_conn(const struct cbox *c)
{
	return c->conn;
}

void cbox_nonblock(struct cbox *c, int on)
{
	c->nonblock = on;
}

void cbox_bell(struct cbox *c, int fd)
{
	if (c->epoll >= 0)
		close(c->epoll);
	c->epoll = -1;
	c->bell = fd;
}

const char *cbox_strerror(int err)
{
	err = err < 0 ? -err : err;
	switch (err) {
	case CBOX_EMIGRATED:
		return "session has migrated";
	case CBOX_ELOGFULL:
		return "log is full: export a snapshot";
	case CBOX_EDIVERGED:
		return "replay diverges from what was done before";
	case CBOX_EDAMAGED:
		return "continuation box is damaged";
	case CBOX_ENOTMOVABLE:
		return "connection cannot be moved";
	}
	return strerror(err);
}
