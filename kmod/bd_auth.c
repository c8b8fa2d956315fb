// SPDX-License-Identifier: GPL-2.0
/*
 * bd_auth.c - who may act. RDMA keys can be guessed, so they give reading at
 * most; a record that acts carries a SipHash tag under its monitor's key and
 * a rising sequence number, both checked on a private copy.
 */
#include <linux/kernel.h>
#include <linux/mutex.h>
#include <linux/siphash.h>
#include <linux/string.h>
#include "bd_compat.h"
#include "bd.h"

#define MAX_BODY	64

/*
 * Readers take no lock: they may run above a CPU that was stopped in the
 * middle of a change. What they copy then is no key, and no tag is right.
 */
static struct {
	siphash_key_t key;
	bool present;
} monitors[BD_MONITORS];
static u64 highest[BD_AREAS][BD_MONITORS];
static DEFINE_MUTEX(keys_lock);

/**
 * bd_key_set() - give a monitor slot its key, or take it away
 * @monitor: slot
 * @key: 128 bits
 * @revoke: forget the key
 */
int bd_key_set(u32 monitor, const u8 key[16], bool revoke)
{
	if (monitor >= BD_MONITORS)
		return -EINVAL;
	mutex_lock(&keys_lock);
	WRITE_ONCE(monitors[monitor].present, false);
	smp_wmb();	/* no key while it changes */
	monitors[monitor].key.key[0] = revoke ? 0 : get_unaligned_le64(key);
	monitors[monitor].key.key[1] = revoke ? 0 : get_unaligned_le64(key + 8);
	smp_wmb();	/* the whole key before it counts */
	WRITE_ONCE(monitors[monitor].present, !revoke);
	mutex_unlock(&keys_lock);
	return 0;
}

/** bd_key_present() - may this monitor act at all */
bool bd_key_present(u32 monitor)
{
	return monitor < BD_MONITORS && READ_ONCE(monitors[monitor].present);
}

/**
 * bd_tag_ok() - check the tag of a record
 * @monitor: slot whose key made it
 * @kind: of the region the record lies in
 * @index: of the record in its area
 * @body: private copy of the bytes before the tag
 * @len: of @body, at most 64
 * @tag: from the copy
 */
bool bd_tag_ok(u32 monitor, u32 kind, u32 index, const void *body, size_t len,
	       u64 tag)
{
	u8 text[24 + MAX_BODY];
	siphash_key_t key;

	if (len > MAX_BODY || !bd_key_present(monitor))
		return false;
	memcpy(text, bd_boot_id, 16);
	put_unaligned_le32(kind, text + 16);
	put_unaligned_le32(index, text + 20);
	memcpy(text + 24, body, len);
	smp_rmb();	/* present before the key */
	key = monitors[monitor].key;
	smp_rmb();	/* the key before present again */
	return siphash(text, 24 + len, &key) == tag && bd_key_present(monitor);
}

/** bd_seq_ok() - is this above all that the monitor sent to the area */
bool bd_seq_ok(enum bd_area area, u32 monitor, u64 seq)
{
	return seq > READ_ONCE(highest[area][monitor]);
}

/** bd_seq_take() - remember an accepted sequence number */
void bd_seq_take(enum bd_area area, u32 monitor, u64 seq)
{
	WRITE_ONCE(highest[area][monitor], seq);
}
