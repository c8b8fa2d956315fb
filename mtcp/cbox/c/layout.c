/* SPDX-License-Identifier: Apache-2.0 */
/* layout.c - the areas of a new box, as package cbox of Go lays them out. */
#include <stdlib.h>

#include "impl.h"

#define PAGE	4096

static uint64_t align(uint64_t n, uint64_t to)
{
	return (n + to - 1) & ~(to - 1);
}

static uint64_t ring_len(uint32_t n)
{
	uint64_t len = 64;

	if (!n)
		return BD_CBOX_RING_LEN;
	while (len < n)
		len <<= 1;
	return len;
}

static uint64_t take(uint64_t *end, uint64_t n, uint64_t to)
{
	uint64_t off = align(*end, to);

	*end = off + n;
	return off;
}

static struct bd_cbox_table table(uint64_t *end, uint64_t n, uint64_t size)
{
	return (struct bd_cbox_table){ take(end, n * size, 1), n, size };
}

/* What a new box begins with: head and tables, *head_len bytes, or NULL. */
static uint8_t *tables(const struct bd_cbox_head *h)
{
	uint8_t *b = calloc(1, h->head_len);

	if (b)
		memcpy(b, h, sizeof(*h));
	return b;
}

static int too_large(const struct cbox_config *cfg)
{
	uint32_t most = BD_CBOX_LEN_MAX / 4;

	return cfg->snapshot > most || cfg->log > most || cfg->hold > most || cfg->ring > most ||
	       (cfg->name && strlen(cfg->name) >= BD_CBOX_NAME) ||
	       cfg->processes > BD_CBOX_PROCS_MAX || cfg->channels > BD_CBOX_CHANS_MAX / 2;
}

/* Rings lie on pages of their own: one that is never touched costs nothing. */
uint8_t *layout(const struct cbox_config *cfg, int *err)
{
	uint64_t procs = most(1, cfg->processes), chans = 2 * (uint64_t)cfg->channels, end = sizeof(struct bd_cbox_head);
	uint64_t snap = BD_CBOX_SNAP_LEN, positions = sizeof(struct bd_cbox_snap) + chans * sizeof(struct bd_cbox_end);
	struct bd_cbox_head h = { .magic = BD_CBOX_MAGIC, .major = BD_CBOX_MAJOR, .minor = BD_CBOX_MINOR };
	struct bd_cbox_proc *p;
	struct bd_cbox_chan *c;
	uint8_t *b;

	*err = -EMSGSIZE;
	if (cfg->snapshot)
		snap = align(positions + cfg->snapshot, 64);
	if (too_large(cfg) || snap < positions)
		return NULL;
	h.procs = table(&end, procs, sizeof(*p));
	h.chans = table(&end, chans, sizeof(*c));
	h.opts = table(&end, BD_CBOX_OPTS, sizeof(struct bd_cbox_opt));
	h.acts = table(&end, BD_CBOX_ACTS, sizeof(struct bd_cbox_act));
	h.head_len = end;
	b = tables(&h);
	if (!b) {
		*err = -ENOMEM;
		return NULL;
	}
	p = (struct bd_cbox_proc *)(b + h.procs.off);
	for (uint64_t i = 0; i < procs; i++)
		p[i] = (struct bd_cbox_proc){ take(&end, 2 * snap, snap >= PAGE ? PAGE : 64), snap, .parent = BD_CBOX_NONE };
	p[0].state = BD_CBOX_PROC_JOINED;
	if (cfg->name)
		memcpy(p[0].name, cfg->name, strlen(cfg->name));
	h.log = (struct bd_cbox_area){ take(&end, ring_len(cfg->log), PAGE), ring_len(cfg->log) };
	h.hold = (struct bd_cbox_area){ take(&end, ring_len(cfg->hold), PAGE), ring_len(cfg->hold) };
	c = (struct bd_cbox_chan *)(b + h.chans.off);
	for (uint64_t i = 0; i < chans; i++)
		c[i].ring = (struct bd_cbox_area){ take(&end, ring_len(cfg->ring), PAGE), ring_len(cfg->ring) };
	h.len = align(end, PAGE);
	memcpy(b, &h, sizeof(h));
	if (h.len <= BD_CBOX_LEN_MAX)
		return b;
	free(b);
	return NULL;
}

/* Puts a new box into m, magic last. */
void layout_write(uint8_t *m, uint8_t *b)
{
	struct bd_cbox_head *h = (struct bd_cbox_head *)b, *to = (struct bd_cbox_head *)m;

	h->crc = cbox_crc32c(h, offsetof(struct bd_cbox_head, crc));
	memcpy(m + 8, b + 8, h->head_len - 8);
	STORE(&to->magic, h->magic);
}
