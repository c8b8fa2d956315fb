// SPDX-License-Identifier: GPL-2.0
/*
 * rdma_hello.c - who asks for a connection, and what is said to him. RoCE is
 * clear text: a hello can be recorded, so its tag is bound to this boot and its
 * counter rises (DECISION 15).
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/atomic.h>
#include <linux/kernel.h>
#include <linux/string.h>
#include <rdma/ib_cm.h>
#include "bdr.h"

static_assert(sizeof(struct bd_hello) <= BD_HELLO_MAX);
static_assert(sizeof(struct bd_denial) <= BD_DENIAL_MAX);
static_assert(sizeof(struct bd_grant) <= BD_GRANT_MAX);

static const char * const reasons[] = {
	[BD_DENY_MALFORMED] = "malformed",
	[BD_DENY_VERSION] = "another version",
	[BD_DENY_BOOTID] = "another boot id",
	[BD_DENY_NOKEY] = "no key for its slot",
	[BD_DENY_TAG] = "wrong tag",
	[BD_DENY_COUNTER] = "its counter did not rise",
	[BD_DENY_FULL] = "no room",
	[BD_DENY_JOIN] = "no such grant to join",
	[BD_DENY_POLICY] = "its policy",
	[BD_DENY_CLOSED] = "closed",
};

static atomic64_t denials[ARRAY_SIZE(reasons)];

/** bdr_denials() - how often a monitor was denied for that reason */
u64 bdr_denials(u32 reason)
{
	return reason < ARRAY_SIZE(reasons) ? atomic64_read(&denials[reason]) : 0;
}

static bool well_formed(const struct bd_hello *h, u8 len)
{
	return len >= sizeof(*h) && h->magic == BD_HELLO_MAGIC && !h->reserved &&
	       !(h->flags & ~BD_HELLO_TAKEOVER) && h->monitor < BD_MONITORS;
}

/**
 * bdr_hello_check() - is this who it says; if so, its counter is taken
 * @h: private copy
 * @len: bytes that came
 *
 * Returns 0 or an enum bd_denial_reason.
 */
u32 bdr_hello_check(const struct bd_hello *h, u8 len)
{
	if (!well_formed(h, len))
		return BD_DENY_MALFORMED;
	if (h->major != BD_VERSION_MAJOR)
		return BD_DENY_VERSION;
	if (memcmp(h->boot_id, bd_boot_id, sizeof(h->boot_id)))
		return BD_DENY_BOOTID;
	if (!bd_key_present(h->monitor))
		return BD_DENY_NOKEY;
	if (!bd_tag_ok(h->monitor, BD_KIND_HELLO, h->monitor, h,
		       offsetof(struct bd_hello, tag), h->tag))
		return BD_DENY_TAG;
	if (!bd_seq_ok(BD_AREA_HELLO, h->monitor, h->counter))
		return BD_DENY_COUNTER;
	bd_seq_take(BD_AREA_HELLO, h->monitor, h->counter);
	if (!bd_may_read(h->monitor, BD_KIND_TABLE))
		return BD_DENY_POLICY;
	return 0;
}

/**
 * bdr_hello_deny() - answer a hello with a reason
 * @id: of the request
 * @h: what came
 * @reason: enum bd_denial_reason
 */
void bdr_hello_deny(struct rdma_cm_id *id, const struct bd_hello *h, u32 reason)
{
	struct bd_denial d = {
		.magic = BD_DENIAL_MAGIC,
		.major = BD_VERSION_MAJOR,
		.minor = BD_VERSION_MINOR,
		.reason = reason,
		.monitor = h->monitor,
		.counter = h->counter,
	};

	memcpy(d.boot_id, bd_boot_id, sizeof(d.boot_id));
	if (h->monitor < BD_MONITORS) {
		d.highest = bd_seq_highest(BD_AREA_HELLO, h->monitor);
		d.tag = bd_tag_make(h->monitor, BD_KIND_DENIAL, h->monitor, &d,
				    offsetof(struct bd_denial, tag));
	}
	atomic64_inc(&denials[reason]);
	pr_info_ratelimited("monitor %u at %pISpc is denied: %s\n", h->monitor,
			    &id->route.addr.dst_addr, reasons[reason]);
	rdma_reject(id, &d, sizeof(d), IB_CM_REJ_CONSUMER_DEFINED);
}

static u64 kinds(const struct bdr_grant *g, u32 perm)
{
	u64 mask = 0;
	int i;

	for (i = 0; i < BD_MAX_REGIONS; i++)
		if (g->table->regions[i].kind && g->table->regions[i].perm & perm)
			mask |= BIT_ULL(g->table->regions[i].kind);
	return mask;
}

/**
 * bdr_hello_grant() - what a monitor is told that is let in
 * @msg: filled and signed
 * @h: what it said
 * @g: what it got
 */
void bdr_hello_grant(struct bd_grant *msg, const struct bd_hello *h, const struct bdr_grant *g)
{
	memset(msg, 0, sizeof(*msg));
	msg->magic = BD_GRANT_MAGIC;
	msg->major = BD_VERSION_MAJOR;
	msg->minor = BD_VERSION_MINOR;
	msg->monitor = h->monitor;
	msg->counter = h->counter;
	msg->grant = g->number;
	msg->nic_cpu = bd_nic_cpu;
	msg->read = kinds(g, BD_PERM_READ);
	msg->write = kinds(g, BD_PERM_WRITE);
	if (msg->write & BIT_ULL(BD_KIND_LOCK_REQ))
		msg->flags |= BD_GRANT_LOCK;
	if (g->dev->software)
		msg->flags |= BD_GRANT_SOFTWARE;
	msg->root_addr = (u64)(uintptr_t)g->root;
	msg->root_len = sizeof(*g->root);
	msg->root_key = g->root_mr->mr->rkey;
	msg->root = *g->root;
	msg->tag = bd_tag_make(h->monitor, BD_KIND_GRANT, h->monitor, msg,
			       offsetof(struct bd_grant, tag));
}
