// SPDX-License-Identifier: GPL-2.0
/* bd_selftest.c - run at load under selftest=1; a failure fails the load */
#define pr_fmt(fmt) KBUILD_MODNAME ": selftest: " fmt

#include <linux/crc32.h>
#include <linux/math64.h>
#include <linux/sched.h>
#include <linux/siphash.h>
#include "bd.h"
#include "bd_compat.h"
#include "bd_sensor.h"

static int expect(bool ok, const char *what)
{
	if (!ok)
		pr_err("%s\n", what);
	return ok ? 0 : -EIO;
}

/* Tag of a record, computed the plain way. */
static u64 tag_of(const u8 *key, u32 kind, u32 index, const void *body, size_t len)
{
	siphash_key_t k = {{ get_unaligned_le64(key), get_unaligned_le64(key + 8) }};
	u8 text[64];

	memcpy(text, bd_boot_id, 16);
	put_unaligned_le32(kind, text + 16);
	put_unaligned_le32(index, text + 20);
	memcpy(text + 24, body, len);
	return siphash(text, 24 + len, &k);
}

static int tags(void)
{
	static const u8 key[16] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 };
	const u32 m = BD_MONITORS - 1;
	u8 body[24] = "a record before its tag";
	u64 tag = tag_of(key, BD_KIND_KILL_REQ, 3, body, sizeof(body));
	int err = expect(!bd_key_present(m), "a slot without a key seems to have one");

	bd_key_set(m, key, false);
	err = err ?: expect(bd_tag_ok(m, BD_KIND_KILL_REQ, 3, body, sizeof(body), tag),
			    "a right tag is refused");
	err = err ?: expect(!bd_tag_ok(m, BD_KIND_KILL_REQ, 4, body, sizeof(body), tag),
			    "a tag counts for another index");
	body[0] ^= 1;
	err = err ?: expect(!bd_tag_ok(m, BD_KIND_KILL_REQ, 3, body, sizeof(body), tag),
			    "a changed body is accepted");
	bd_key_set(m, key, true);
	return err ?: expect(!bd_tag_ok(m, BD_KIND_KILL_REQ, 3, body, sizeof(body), tag),
			     "a revoked key still counts");
}

static int sequence(void)
{
	int err = expect(bd_seq_ok(BD_AREA_KNOB, 1, 1), "a first sequence number is refused");

	bd_seq_take(BD_AREA_KNOB, 1, 5);
	err = err ?: expect(!bd_seq_ok(BD_AREA_KNOB, 1, 5), "a replay is accepted");
	err = err ?: expect(bd_seq_ok(BD_AREA_KNOB, 1, 6), "a rising number is refused");
	bd_seq_take(BD_AREA_KNOB, 1, 0);
	return err;
}

static int regions(void)
{
	struct bd_table *t = bd_region_table();
	int i, err = expect(t->magic == BD_TABLE_MAGIC && t->count, "no region table");

	for (i = 0; i < t->count && !err; i++) {
		struct bd_region *r = &t->regions[i];
		bool writable = r->perm & BD_PERM_WRITE;

		if (r->kind)
			err = expect(!writable || bd_allow_repair || bd_allow_fence,
				     "a writable region without permission");
	}
	return err;
}

#define COST_ROUNDS	16
#define COST_UPDATES	10000

/*
 * What an update of a sensor costs its caller: the best of some rounds, for
 * interrupts only ever add. A probe on a tracepoint is one such store.
 */
static void cost(void)
{
	struct bd_sensor scratch = {};
	u64 best = U64_MAX;
	int round, i;

	for (round = 0; round < COST_ROUNDS; round++) {
		u64 took, began = ktime_get_ns();

		for (i = 0; i < COST_UPDATES; i++)
			bd_set_sensor_value(&scratch, i);
		took = ktime_get_ns() - began;
		best = min(best, took);
		cond_resched();
	}
	pr_info("an update of a sensor takes %llu ps\n", div_u64(best * 1000, COST_UPDATES));
}

/** bd_selftest() - 0, or -EIO and a line that says what is wrong */
int bd_selftest(void)
{
	int err = tags();

	err = err ?: sequence();
	err = err ?: regions();
	if (!err)
		cost();
	return err;
}
