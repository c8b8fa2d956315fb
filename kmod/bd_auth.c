// SPDX-License-Identifier: GPL-2.0
/*
 * bd_auth.c - who may act. RDMA keys can be guessed, so they give reading at
 * most; a record that acts carries a SipHash tag under its monitor's key and
 * a rising sequence number, both checked on a private copy.
 */
#include <linux/export.h>
#include <linux/kernel.h>
#include <linux/mutex.h>
#include <linux/siphash.h>
#include <linux/string.h>
#include "bd_compat.h"
#include "bd.h"

#define MAX_HEAD	24	/* boot id, kind, index */
#define MAX_BODY	128

/*
 * Readers take no lock: they may run above a CPU that was stopped in the
 * middle of a change. What they copy then is no key, and no tag is right.
 * In a page of its own, which carriers leave out of what they export as memory.
 */
static struct monitor {
	siphash_key_t key;
	bool present;
} *monitors;
static u64 highest[BD_AREAS][BD_MONITORS];
static DEFINE_MUTEX(keys_lock);

static siphash_key_t parse(const u8 *key)
{
	siphash_key_t k = {};

	if (key) {
		k.key[0] = get_unaligned_le64(key);
		k.key[1] = get_unaligned_le64(key + 8);
	}
	return k;
}

/* An agent that starts again gives the same key: nobody is to lose by that. */
static bool differs(const struct monitor *m, const u8 *key)
{
	siphash_key_t k = parse(key);

	return m->present != !!key || memcmp(&m->key, &k, sizeof(k));
}

static void change(struct monitor *m, const u8 *key)
{
	WRITE_ONCE(m->present, false);
	smp_wmb();	/* no key while it changes */
	m->key = parse(key);
	smp_wmb();	/* the whole key before it counts */
	WRITE_ONCE(m->present, !!key);
}

/**
 * bd_key_set() - give a monitor slot its key, or take it away
 * @monitor: slot
 * @key: 128 bits
 * @revoke: forget the key
 */
int bd_key_set(u32 monitor, const u8 key[16], bool revoke)
{
	bool changed;
	int err = 0;

	if (monitor >= BD_MONITORS)
		return -EINVAL;
	mutex_lock(&keys_lock);
	changed = differs(&monitors[monitor], revoke ? NULL : key);
	if (changed && bd_policy_sealed() && !revoke)
		err = -EPERM;
	else if (changed)
		change(&monitors[monitor], revoke ? NULL : key);
	mutex_unlock(&keys_lock);
	if (changed && !err)
		bd_backend_monitor(monitor);
	return err;
}

/** bd_key_present() - may this monitor act at all */
bool bd_key_present(u32 monitor)
{
	return monitor < BD_MONITORS && READ_ONCE(monitors[monitor].present);
}
EXPORT_SYMBOL_GPL(bd_key_present);

/** bd_key_page() - the page with the keys, which nobody is to read from outside */
const void *bd_key_page(void)
{
	return monitors;
}
EXPORT_SYMBOL_GPL(bd_key_page);

static void head(u8 text[MAX_HEAD], u32 kind, u32 index)
{
	memcpy(text, bd_boot_id, 16);
	put_unaligned_le32(kind, text + 16);
	put_unaligned_le32(index, text + 20);
}

/* Whether key was the monitor's all the while that it was copied. */
static bool key_copy(u32 monitor, siphash_key_t *key)
{
	if (!bd_key_present(monitor))
		return false;
	smp_rmb();	/* present before the key */
	*key = monitors[monitor].key;
	smp_rmb();	/* the key before present again */
	return bd_key_present(monitor);
}

/**
 * bd_tag_ok() - check the tag of a record
 * @monitor: slot whose key made it
 * @kind: of the region the record lies in
 * @index: of the record in its area
 * @body: private copy of the bytes before the tag
 * @len: of @body, at most 128
 * @tag: from the copy
 */
bool bd_tag_ok(u32 monitor, u32 kind, u32 index, const void *body, size_t len,
	       u64 tag)
{
	u8 text[MAX_HEAD + MAX_BODY];
	siphash_key_t key;

	if (len > MAX_BODY || !key_copy(monitor, &key))
		return false;
	head(text, kind, index);
	memcpy(text + MAX_HEAD, body, len);
	return siphash(text, MAX_HEAD + len, &key) == tag;
}
EXPORT_SYMBOL_GPL(bd_tag_ok);

/**
 * bd_tag_make() - sign what the target says to a monitor; 0 without a key
 * @monitor: slot
 * @kind: BD_KIND_*
 * @index: as for bd_tag_ok()
 * @body: bytes before the tag
 * @len: of @body, at most 128
 */
u64 bd_tag_make(u32 monitor, u32 kind, u32 index, const void *body, size_t len)
{
	u8 text[MAX_HEAD + MAX_BODY];
	siphash_key_t key;

	if (len > MAX_BODY || !key_copy(monitor, &key))
		return 0;
	head(text, kind, index);
	memcpy(text + MAX_HEAD, body, len);
	return siphash(text, MAX_HEAD + len, &key);
}
EXPORT_SYMBOL_GPL(bd_tag_make);

/**
 * bd_proposal_tag_ok() - check the tag of a proposal; in the poller only
 * @monitor: slot whose key made it
 * @index: of the record in the monitor's area
 * @p: private copy, its len checked
 */
bool bd_proposal_tag_ok(u32 monitor, u32 index, const struct bd_proposal *p)
{
	static u8 text[MAX_HEAD + sizeof(struct bd_proposal)];	/* one CPU scans */
	const size_t before = offsetof(struct bd_proposal, tag);
	siphash_key_t key;

	if (!key_copy(monitor, &key))
		return false;
	head(text, BD_KIND_PROPOSALS, index);
	memcpy(text + MAX_HEAD, p, before);
	memcpy(text + MAX_HEAD + before, p->data, p->len);
	return siphash(text, MAX_HEAD + before + p->len, &key) == p->tag;
}

/** bd_seq_ok() - is this above all that the monitor sent to the area */
bool bd_seq_ok(enum bd_area area, u32 monitor, u64 seq)
{
	return seq > READ_ONCE(highest[area][monitor]);
}
EXPORT_SYMBOL_GPL(bd_seq_ok);

/** bd_seq_take() - remember an accepted sequence number */
void bd_seq_take(enum bd_area area, u32 monitor, u64 seq)
{
	WRITE_ONCE(highest[area][monitor], seq);
}
EXPORT_SYMBOL_GPL(bd_seq_take);

/** bd_seq_highest() - the highest number taken so far */
u64 bd_seq_highest(enum bd_area area, u32 monitor)
{
	return READ_ONCE(highest[area][monitor]);
}
EXPORT_SYMBOL_GPL(bd_seq_highest);

int bd_auth_init(void)
{
	static_assert(BD_MONITORS * sizeof(struct monitor) <= PAGE_SIZE);

	monitors = bd_pages_alloc(PAGE_SIZE);
	return monitors ? 0 : -ENOMEM;
}

void bd_auth_exit(void)
{
	memzero_explicit(monitors, PAGE_SIZE);
	bd_pages_free(monitors, PAGE_SIZE);
}
