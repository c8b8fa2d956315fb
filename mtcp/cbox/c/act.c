/* SPDX-License-Identifier: Apache-2.0 */
/* act.c - what the process does to its socket, recorded and replayed (section 2.5.3). */
#include <netinet/in.h>
#include <sys/socket.h>

#include "impl.h"

static uint32_t act_crc(const struct bd_cbox_act *a)
{
	return cbox_crc32c(a, offsetof(struct bd_cbox_act, crc));
}

static uint32_t opt_crc(const struct bd_cbox_opt *o)
{
	return cbox_crc32c(o, offsetof(struct bd_cbox_opt, crc));
}

static int ends_writing(const struct bd_cbox_act *a)
{
	return a->kind == BD_CBOX_SHUT_WRITE || a->kind == BD_CBOX_CLOSE;
}

static int same_option(const struct bd_cbox_opt *o, const struct bd_cbox_act *a)
{
	return o->level == a->level && o->name == a->name;
}

static unsigned find(const struct cbox *c, const struct bd_cbox_act *a)
{
	unsigned i = 0;

	while (i < c->nopts && !same_option(&c->opts[i], a))
		i++;
	return i;
}

static void put_option(struct cbox *c, unsigned i)
{
	struct bd_cbox_opt *table = (struct bd_cbox_opt *)(c->m + c->fixed.opts.off);

	c->opts[i].used = 1;
	c->opts[i].crc = opt_crc(&c->opts[i]);
	memcpy(&table[i], &c->opts[i], sizeof(table[i]));
}

/* The option holds from now on. There is room: see cbox_setsockopt. */
static unsigned in_force(struct cbox *c, const struct bd_cbox_act *a)
{
	unsigned i = find(c, a);
	struct bd_cbox_opt *o = &c->opts[i];

	memset(o, 0, sizeof(*o));
	o->level = a->level;
	o->name = a->name;
	o->len = a->len;
	memcpy(o->value, a->value, sizeof(o->value));
	if (i == c->nopts)
		c->nopts++;
	return i;
}

/* Action number n of the checked copy, if it is in its place. */
static const struct bd_cbox_act *recorded(const struct head *x, uint32_t n)
{
	const struct bd_cbox_act *a = &x->acts[n % x->h.acts.count];

	if (a->number != n || a->crc != act_crc(a) || a->len > BD_CBOX_OPT_LEN || !a->kind || a->kind > BD_CBOX_CLOSE)
		return NULL;
	return a;
}

/* The table, and over it the last action, which may not have reached it. */
static void read_options(struct cbox *c, const struct head *x)
{
	const struct bd_cbox_act *last = x->h.actions ? recorded(x, x->h.actions - 1) : NULL;

	for (unsigned i = 0; i < x->h.opts.count; i++) {
		const struct bd_cbox_opt *o = &x->opts[i];

		if (o->used == 1 && o->len <= BD_CBOX_OPT_LEN && o->crc == opt_crc(o))
			c->opts[c->nopts++] = *o;
	}
	if (last && last->kind == BD_CBOX_SET_OPTION && (find(c, last) < c->nopts || c->nopts < x->h.opts.count))
		in_force(c, last);
}

static int set_option(struct cbox *c, int level, int name, const void *value, unsigned len)
{
	return setsockopt(c->conn, level, name, value, len) < 0 ? -errno : 0;
}

/*
 * Sets the options in force and closes what was closed, which does no harm
 * where it has been done. What a nondeterministic interval recorded has not
 * been seen by anybody and is forgotten.
 */
int act_begin(struct cbox *c, struct head *x, const struct snapshot *s)
{
	uint32_t n;
	int err;

	if (c->ndi) {
		x->h.actions = s->s.actions;
		STORE(&c->h->actions, s->s.actions);
	}
	n = x->h.actions - s->s.actions;
	if (n > x->h.acts.count)
		return -CBOX_EDAMAGED;
	c->act_first = c->act_next = s->s.actions;
	c->ended = c->shut;
	c->shut_due = c->shut;
	for (uint32_t i = 0; i < n; i++) {
		const struct bd_cbox_act *a = recorded(x, c->act_first + i);

		if (!a)
			return -CBOX_EDAMAGED;
		c->acts[c->nacts++] = *a;
		c->shut_due |= ends_writing(a);
		if (a->kind == BD_CBOX_SHUT_READ && shutdown(c->conn, SHUT_RD) < 0 && errno != ENOTCONN)
			return -errno;
	}
	read_options(c, x);
	for (unsigned i = 0; i < c->nopts; i++) {
		put_option(c, i);
		err = set_option(c, c->opts[i].level, c->opts[i].name, c->opts[i].value, c->opts[i].len);
		if (err)
			return err;
	}
	return 0;
}

int act_ends_writing(const struct cbox *c)
{
	for (uint32_t i = 0; i < c->act_next - c->act_first; i++)
		if (ends_writing(&c->acts[i]))
			return 1;
	return 0;
}

void act_exported(struct cbox *c)
{
	uint32_t gone = c->act_next - c->act_first;

	c->nacts -= gone;
	memmove(c->acts, c->acts + gone, c->nacts * sizeof(*c->acts));
	c->act_first = c->act_next;
}

static void record(struct cbox *c, struct bd_cbox_act *a)
{
	struct bd_cbox_act *table = (struct bd_cbox_act *)(c->m + c->fixed.acts.off);

	a->number = c->act_next;
	a->crc = act_crc(a);
	memcpy(&table[a->number % c->fixed.acts.count], a, sizeof(*a));
	STORE(&c->h->actions, c->act_next + 1);
	c->acts[c->nacts++] = *a;
	if (a->kind == BD_CBOX_SET_OPTION)
		put_option(c, in_force(c, a));
}

/* A process before this one did it already, and did the same? */
static int repeats(const struct cbox *c, const struct bd_cbox_act *a)
{
	const struct bd_cbox_act *was = &c->acts[c->act_next - c->act_first];

	if (c->act_next - c->act_first == c->nacts)
		return 0;
	if (was->kind != a->kind || was->level != a->level || was->name != a->name || was->pos != a->pos ||
	    was->len != a->len || memcmp(was->value, a->value, a->len))
		return -CBOX_EDIVERGED;
	return 1;
}

static int act_once(struct cbox *c, struct bd_cbox_act *a, int (*perform)(struct cbox *, const struct bd_cbox_act *))
{
	int err;

	a->pos = c->down.pos;
	err = repeats(c, a);
	if (err < 0)
		return err;
	if (!err) {
		/* A replay that ends the stream before it has repeated all of it has gone another way. */
		if (ends_writing(a) && c->down.pos < c->down.head)
			return -CBOX_EDIVERGED;
		if (c->nacts >= c->fixed.acts.count)
			return -CBOX_ELOGFULL;
		err = perform(c, a);
		if (err)
			return err;
		record(c, a);
	}
	c->act_next++;
	c->ended |= ends_writing(a);
	return 0;
}

/* Does and records an action, unless a process before this one has. Each can be done twice. */
int act_do(struct cbox *c, struct bd_cbox_act *a, int (*perform)(struct cbox *, const struct bd_cbox_act *))
{
	int err;

	if (c->conn < 0)
		return -EBADF;
	err = box_begin(c);
	if (err)
		return err;
	err = act_once(c, a, perform);
	box_leave(c);
	return err;
}

static int perform_shutdown(struct cbox *c, const struct bd_cbox_act *a)
{
	int err;

	if (a->kind == BD_CBOX_SHUT_READ)
		return shutdown(c->conn, SHUT_RD) < 0 && errno != ENOTCONN ? -errno : 0;
	if (c->ndi) { /* the FIN is output, and waits for the next export */
		c->shut_held = 1;
		return 0;
	}
	c->shut_due = 1;
	err = conn_send(c);
	return err == -EAGAIN ? 0 : err;
}

int cbox_shutdown(struct cbox *c, int how)
{
	struct bd_cbox_act in = { .kind = BD_CBOX_SHUT_READ }, out = { .kind = BD_CBOX_SHUT_WRITE };
	int err = 0;

	if (how != SHUT_RD && how != SHUT_WR && how != SHUT_RDWR)
		return -EINVAL;
	if (how != SHUT_WR)
		err = act_do(c, &in, perform_shutdown);
	if (!err && how != SHUT_RD)
		err = act_do(c, &out, perform_shutdown);
	return err;
}

static int perform_option(struct cbox *c, const struct bd_cbox_act *a)
{
	if (find(c, a) == c->nopts && c->nopts == c->fixed.opts.count)
		return -ENOSPC;
	return set_option(c, a->level, a->name, a->value, a->len);
}

int cbox_setsockopt(struct cbox *c, int level, int name, const void *value, size_t len)
{
	struct bd_cbox_act a = { .kind = BD_CBOX_SET_OPTION, .level = level, .name = name };

	if (len > BD_CBOX_OPT_LEN)
		return -EMSGSIZE;
	a.len = (uint16_t)len;
	if (len)
		memcpy(a.value, value, len);
	return act_do(c, &a, perform_option);
}
