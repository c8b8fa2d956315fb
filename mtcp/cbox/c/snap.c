/* SPDX-License-Identifier: Apache-2.0 */
/* snap.c - snapshots: export_state and import_state (section 2.7). */
#include <stdlib.h>

#include "impl.h"

static struct bd_cbox_snap *buffer(const struct cbox *c, uint64_t seq)
{
	return (struct bd_cbox_snap *)(c->m + c->snap_off + seq % 2 * c->snap_len);
}

/* Checks a private copy of one buffer and finds what lies in it. */
static int decode(const struct head *x, struct snapshot *s, uint32_t len)
{
	uint64_t head, end;

	memcpy(&s->s, s->raw, sizeof(s->s));
	head = sizeof(s->s) + (uint64_t)s->s.ends * sizeof(struct bd_cbox_end);
	end = head + s->s.len;
	if (s->s.number != s->s.seq || end > len || s->s.ends > x->h.chans.count)
		return -CBOX_EDAMAGED;
	if (s->s.crc != cbox_crc32c(s->raw + offsetof(struct bd_cbox_snap, number), end - offsetof(struct bd_cbox_snap, number)))
		return -CBOX_EDAMAGED;
	s->ends = (struct bd_cbox_end *)(s->raw + sizeof(s->s));
	for (unsigned i = 0; i < s->s.ends; i++)
		if (s->ends[i].chan >= x->h.chans.count)
			return -CBOX_EDAMAGED;
	s->data = malloc(s->s.len + 1);
	if (!s->data)
		return -ENOMEM;
	memcpy(s->data, s->raw + head, s->s.len);
	return 0;
}

/* Copies the last snapshot; seq is 0 if there is none. Free it with snap_free. */
int snap_last(const struct cbox *c, const struct head *x, struct snapshot *s)
{
	int err = 0;

	memset(s, 0, sizeof(*s));
	s->raw = malloc(c->snap_len);
	if (!s->raw)
		return -ENOMEM;
	for (int i = 0; i < 1000; i++) {
		uint64_t one = LOAD(&buffer(c, 0)->seq), two = LOAD(&buffer(c, 1)->seq), seq = most(one, two);
		const struct bd_cbox_snap *b = buffer(c, two > one ? 1 : 0);

		if (!seq)
			return 0;
		memcpy(s->raw, b, c->snap_len);
		free(s->data);
		s->data = NULL;
		err = decode(x, s, c->snap_len);
		if (LOAD(&b->seq) == seq)
			break;
		err = -CBOX_EDAMAGED; /* it changes all the time */
	}
	if (err)
		snap_free(s);
	return err;
}

void snap_free(struct snapshot *s)
{
	free(s->data);
	free(s->raw);
	s->data = NULL;
	s->raw = NULL;
}

static size_t data_off(const struct cbox *c)
{
	return sizeof(struct bd_cbox_snap) + c->nends * sizeof(struct bd_cbox_end);
}

/* A nondeterministic interval must not begin amid repeated output (section 2.4.4). */
static int can_export(const struct cbox *c, uint16_t flags)
{
	if (!(flags & BD_CBOX_SNAP_NDI))
		return 0;
	if (c->conn >= 0 && c->down.pos < c->down.head)
		return -CBOX_EDIVERGED;
	for (unsigned i = 0; i < c->nends; i++)
		if (c->ends[i]->writes && c->ends[i]->w.pos < c->ends[i]->w.head)
			return -CBOX_EDIVERGED;
	return 0;
}

static uint64_t order(struct cbox *c)
{
	if (c->nends)
		return __atomic_add_fetch(&c->h->exports, 1, __ATOMIC_SEQ_CST);
	PUT(&c->h->exports, c->h->exports + 1);
	return c->h->exports;
}

/*
 * Writes the next snapshot and lets go what it releases. state may lie there
 * already. Dying once seq is stored does no harm: who resumes does the rest.
 */
int snap_take(struct cbox *c, const void *state, size_t len, uint16_t flags)
{
	struct bd_cbox_snap *s = buffer(c, c->seq + 1);
	uint8_t *b = (uint8_t *)s;
	size_t at = data_off(c);
	int err;

	if (at > c->snap_len || len > c->snap_len - at)
		return -EMSGSIZE;
	err = can_export(c, flags);
	if (err)
		return err;
	PUT(&s->seq, 0);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	if (state && state != b + at)
		memcpy(b + at, state, len);
	s->len = len;
	s->number = c->seq + 1;
	s->order = order(c);
	if (c->conn >= 0)
		conn_position(c, s);
	c->shut = c->shut || (c->conn >= 0 && act_ends_writing(c));
	s->flags = flags | (c->shut ? BD_CBOX_SNAP_SHUT : 0);
	s->ends = c->nends;
	for (unsigned i = 0; i < c->nends; i++)
		end_position(c->ends[i], (struct bd_cbox_end *)(b + sizeof(*s)) + i);
	s->crc = cbox_crc32c(&s->number, at + len - offsetof(struct bd_cbox_snap, number));
	c->seq++;
	PUT(&s->seq, c->seq); /* from here on it counts */
	c->ndi = !!(flags & BD_CBOX_SNAP_NDI);
	for (unsigned i = 0; i < c->nends; i++)
		end_exported(c->ends[i], c->ndi);
	if (c->conn >= 0)
		conn_exported(c, c->ndi);
	return 0;
}

/* Where the next snapshot's state may be made: at most *room bytes. */
void *cbox_buffer(struct cbox *c, size_t *room)
{
	size_t at = data_off(c);

	*room = at > c->snap_len ? 0 : c->snap_len - at;
	return (uint8_t *)buffer(c, c->seq + 1) + (at > c->snap_len ? c->snap_len : at);
}

static int export(struct cbox *c, const void *state, size_t len, int ndi)
{
	int err;

	err = box_begin(c);
	if (err)
		return err;
	err = snap_take(c, state, len, ndi ? BD_CBOX_SNAP_NDI : 0);
	box_leave(c);
	if (!err && c->conn >= 0 && conn_pending(c))
		err = (int)cbox_write(c, NULL, 0);
	return err == -EAGAIN ? 0 : err;
}

int cbox_export(struct cbox *c, const void *state, size_t len, int ndi)
{
	return export(c, len ? state : NULL, len, ndi);
}

int cbox_commit(struct cbox *c, size_t len, int ndi)
{
	return export(c, NULL, len, ndi);
}

ssize_t cbox_import(const struct cbox *c, void *state, size_t len)
{
	if (!c->has_state)
		return -ENODATA;
	if (len)
		memcpy(state, c->state, least(len, c->state_len));
	return (ssize_t)c->state_len;
}
