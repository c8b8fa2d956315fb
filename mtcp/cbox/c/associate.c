/* SPDX-License-Identifier: Apache-2.0 */
/* associate.c - processes below this one, and channels to them (section 2.4.3). */
#include "impl.h"

/* A process that died while it made them left as many rings as it got to. */
static unsigned rings(const struct cbox *c, uint32_t peer, int to)
{
	unsigned n = 0;

	for (unsigned i = 0; i < c->nends; i++)
		n += c->ends[i]->peer == peer && c->ends[i]->writes == to;
	return n;
}

static int claim(uint32_t *state, uint32_t slot)
{
	uint32_t was = 0; /* BD_CBOX_PROC_FREE, and a channel that is not open */

	return CAS(state, &was, BD_CBOX_CLAIM(slot));
}

/* The slot of the child of that name; a new one is claimed first, because others may add children too. */
static int child_slot(struct cbox *c, const struct head *x, const char *name, uint32_t *slot)
{
	struct bd_cbox_proc *p = (struct bd_cbox_proc *)(c->m + x->h.procs.off);

	for (uint32_t i = 0; i < x->h.procs.count; i++) {
		const struct bd_cbox_proc *t = &x->procs[i];

		if (t->state != BD_CBOX_PROC_FREE && t->parent == c->slot && !strncmp(t->name, name, BD_CBOX_NAME)) {
			*slot = i;
			return 0;
		}
	}
	for (uint32_t i = 0; i < x->h.procs.count; i++) {
		if (!claim(&p[i].state, c->slot))
			continue;
		p[i].parent = c->slot;
		memset(p[i].name, 0, sizeof(p[i].name));
		memcpy(p[i].name, name, strlen(name));
		STORE(&p[i].state, BD_CBOX_PROC_JOINED);
		*slot = i;
		return 0;
	}
	return -ENOSPC;
}

static int add_ring(struct cbox *c, struct head *x, uint32_t writer, uint32_t reader)
{
	struct bd_cbox_chan *ch = (struct bd_cbox_chan *)(c->m + x->h.chans.off);

	for (uint32_t i = 0; i < x->h.chans.count; i++) {
		struct bd_cbox_end at = { .chan = i };

		if (!claim(&ch[i].state, c->slot))
			continue;
		ch[i].writer = writer;
		ch[i].reader = reader;
		STORE(&ch[i].state, BD_CBOX_CHAN_OPEN);
		x->chans[i].writer = writer;
		x->chans[i].reader = reader;
		return end_add(c, x, i, &at);
	}
	return -ENOSPC;
}

static int associate(struct cbox *c, struct head *x, const char *name, unsigned channels, uint32_t *slot)
{
	int err = child_slot(c, x, name, slot);

	while (!err && rings(c, *slot, 1) < channels)
		err = add_ring(c, x, c->slot, *slot);
	while (!err && rings(c, *slot, 0) < channels)
		err = add_ring(c, x, *slot, c->slot);
	if (!err && rings(c, *slot, 1) != channels)
		err = -EEXIST; /* it has more already */
	return err;
}

int cbox_associate(struct cbox *c, const char *name, unsigned channels, uint32_t *slot)
{
	struct head x;
	int err;

	if (!*name || strlen(name) >= BD_CBOX_NAME)
		return -EMSGSIZE;
	err = box_begin(c);
	if (err)
		return err;
	err = head_read(c->m, c->where.length, &x);
	if (!err) {
		err = associate(c, &x, name, channels, slot);
		head_free(&x);
	}
	box_leave(c);
	return err;
}
