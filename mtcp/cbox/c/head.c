/* SPDX-License-Identifier: Apache-2.0 */
/*
 * head.c - a checked copy of what a box begins with. Other processes write to
 * the box at any moment: it is copied once, and the copy is checked, as
 * DecodeHead of the Go library does.
 */
#include <stdlib.h>

#include "impl.h"

static int damaged_fixed(const struct bd_cbox_head *h)
{
	return h->magic != BD_CBOX_MAGIC || h->major != BD_CBOX_MAJOR ||
	       h->crc != cbox_crc32c(h, offsetof(struct bd_cbox_head, crc)) ||
	       h->head_len < sizeof(*h) || h->head_len > BD_CBOX_HEAD_MAX;
}

static int damaged_table(const struct head *x, const struct bd_cbox_table *t, size_t size, unsigned max)
{
	uint64_t end = t->off + (uint64_t)t->count * t->size;

	return t->size != size || t->count > max || t->off < sizeof(struct bd_cbox_head) || t->off % 8 || end > x->h.head_len;
}

static int inside(const struct head *x, uint64_t off, uint64_t n)
{
	return off >= x->h.head_len && n <= x->h.len && off <= x->h.len - n;
}

static int damaged_ring(const struct head *x, const struct bd_cbox_area *a)
{
	return !a->len || a->len & (a->len - 1) || !inside(x, a->off, a->len);
}

int head_joined(const struct head *x, uint32_t slot)
{
	return slot < x->h.procs.count && x->procs[slot].state != BD_CBOX_PROC_FREE;
}

/* Every process's ancestors end at the root. */
static int damaged_tree(const struct head *x, uint32_t slot)
{
	for (unsigned steps = 0; slot != 0; steps++) {
		if (!head_joined(x, slot) || steps > x->h.procs.count)
			return 1;
		slot = x->procs[slot].parent;
	}
	return !head_joined(x, 0) || x->procs[0].parent != BD_CBOX_NONE;
}

static int damaged_procs(struct head *x, uint64_t *sum)
{
	for (unsigned i = 0; i < x->h.procs.count; i++) {
		struct bd_cbox_proc *p = &x->procs[i];

		if (p->snap_len < sizeof(struct bd_cbox_snap) || !inside(x, p->snap_off, 2 * (uint64_t)p->snap_len) ||
		    p->snap_off % 8 || p->snap_len % 8)
			return 1;
		if (p->state & BD_CBOX_CLAIMED)
			p->state = BD_CBOX_PROC_FREE;
		if (p->state > BD_CBOX_PROC_DONE)
			return 1;
		*sum += 2 * (uint64_t)p->snap_len;
	}
	for (unsigned i = 0; i < x->h.procs.count; i++)
		if (x->procs[i].state != BD_CBOX_PROC_FREE && damaged_tree(x, i))
			return 1;
	return !head_joined(x, 0);
}

static int damaged_chans(struct head *x, uint64_t *sum)
{
	for (unsigned i = 0; i < x->h.chans.count; i++) {
		struct bd_cbox_chan *c = &x->chans[i];

		if (damaged_ring(x, &c->ring))
			return 1;
		*sum += c->ring.len;
		if (c->state & BD_CBOX_CLAIMED)
			c->state = 0;
		if (!c->state)
			continue;
		if (c->state != BD_CBOX_CHAN_OPEN || !head_joined(x, c->writer) || !head_joined(x, c->reader) ||
		    c->writer == c->reader || c->lsr > c->head || c->head - c->lsr > c->ring.len)
			return 1;
	}
	return 0;
}

static int damaged(struct head *x, uint64_t length)
{
	uint64_t sum = 0;

	if (damaged_fixed(&x->h) || x->h.len > length || x->h.len > BD_CBOX_LEN_MAX || x->h.head_len > x->h.len)
		return 1;
	if (damaged_table(x, &x->h.procs, sizeof(struct bd_cbox_proc), BD_CBOX_PROCS_MAX) ||
	    damaged_table(x, &x->h.chans, sizeof(struct bd_cbox_chan), BD_CBOX_CHANS_MAX) ||
	    damaged_table(x, &x->h.opts, sizeof(struct bd_cbox_opt), BD_CBOX_OPTS_MAX) ||
	    damaged_table(x, &x->h.acts, sizeof(struct bd_cbox_act), BD_CBOX_ACTS_MAX))
		return 1;
	if (!x->h.procs.count || !x->h.opts.count || !x->h.acts.count)
		return 1;
	if (damaged_ring(x, &x->h.log) || damaged_ring(x, &x->h.hold))
		return 1;
	x->procs = (struct bd_cbox_proc *)(x->raw + x->h.procs.off);
	x->chans = (struct bd_cbox_chan *)(x->raw + x->h.chans.off);
	x->acts = (struct bd_cbox_act *)(x->raw + x->h.acts.off);
	x->opts = (struct bd_cbox_opt *)(x->raw + x->h.opts.off);
	if (damaged_procs(x, &sum) || damaged_chans(x, &sum))
		return 1;
	/* Areas that lay over each other would not be what they seem. */
	return sum + x->h.log.len + x->h.hold.len > x->h.len;
}

/* Copies of a box that is in use, before it is taken for damaged. */
#define LIVE_READS 32

static int head_copy(const uint8_t *m, uint64_t length, struct head *x)
{
	memset(x, 0, sizeof(*x));
	if (length < sizeof(x->h))
		return -CBOX_EDAMAGED;
	memcpy(&x->h, m, sizeof(x->h));
	if (damaged_fixed(&x->h) || x->h.head_len > length)
		return -CBOX_EDAMAGED;
	x->len = x->h.head_len;
	x->raw = malloc(x->len);
	if (!x->raw)
		return -ENOMEM;
	memcpy(x->raw, m, x->len);
	memcpy(&x->h, x->raw, sizeof(x->h));
	if (x->h.head_len == x->len && !damaged(x, length))
		return 0;
	head_free(x);
	return -CBOX_EDAMAGED;
}

/*
 * The copy is freed with head_free. Others associate processes and move on in
 * channels meanwhile: one whose parts are of different moments is taken again.
 */
int head_read(const uint8_t *m, uint64_t length, struct head *x)
{
	int err = -CBOX_EDAMAGED;

	for (int i = 0; i < LIVE_READS && err == -CBOX_EDAMAGED; i++)
		err = head_copy(m, length, x);
	return err;
}

void head_free(struct head *x)
{
	free(x->raw);
	x->raw = NULL;
}
