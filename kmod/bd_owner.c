// SPDX-License-Identifier: GPL-2.0
/*
 * bd_owner.c - one monitor heals at a time. It owns this target for a lease,
 * under an epoch that only rises; while it does, what others post is refused.
 * The words have one writer each and the target decides, so that nothing here
 * rests on a remote atomic. Runs in the poller interrupt, one CPU at a time.
 */
#include <linux/export.h>
#include <linux/ktime.h>
#include "bd.h"
#include "bd_trace.h"

#define LEASE_MIN_MS	100
#define LEASE_MAX_MS	3600000

static struct bd_owner_reqs *reqs;
static struct bd_owner_ack *ack;
static struct bd_region *reqs_region, *ack_region;
static u32 seen[BD_MONITORS];

/** bd_owner_epoch() - of whoever owns this target; 0: nobody does */
u32 bd_owner_epoch(void)
{
	if (!ack || READ_ONCE(ack->owner) == BD_OWNER_NONE ||
	    ktime_get_mono_fast_ns() >= READ_ONCE(ack->lease_end_ns))
		return 0;
	return READ_ONCE(ack->epoch);
}

/** bd_owner_other() - does another monitor than this own the target */
bool bd_owner_other(u32 monitor)
{
	return bd_owner_epoch() && READ_ONCE(ack->owner) != monitor;
}

static void write_begin(void)
{
	WRITE_ONCE(ack->seq, ack->seq + 1);
	smp_wmb();	/* odd before the words change */
}

static void write_end(void)
{
	smp_wmb();	/* the words before even */
	WRITE_ONCE(ack->seq, ack->seq + 1);
}

static void set_owner(u32 m, u32 epoch, u64 lease_end_ns)
{
	if (ack->owner != m || ack->epoch != epoch) {
		ack->since_ns = ktime_get_mono_fast_ns();
		if (m != BD_OWNER_NONE)
			ack->changes++;
		trace_bd_owner(m, epoch);
	}
	ack->lease_end_ns = lease_end_ns;
	ack->epoch = epoch;
	ack->owner = m;
}

static u32 check(const struct bd_owner_req *r, u32 m)
{
	if (!bd_key_present(m))
		return BD_OWN_NOKEY;
	if (r->monitor != m ||
	    !bd_tag_ok(m, BD_KIND_OWNER_REQ, m, r, offsetof(struct bd_owner_req, tag), r->tag))
		return BD_OWN_TAG;
	if (r->commit != (u32)r->seq || !bd_seq_ok(BD_AREA_OWNER, m, r->seq))
		return BD_OWN_SEQ;
	bd_seq_take(BD_AREA_OWNER, m, r->seq);
	if (!bd_may_write(m, BD_KIND_OWNER_REQ))
		return BD_OWN_NOTALLOWED;
	return BD_OWN_NONE;
}

static u32 take(const struct bd_owner_req *r, u32 m)
{
	u64 end = ktime_get_mono_fast_ns() + (u64)r->lease_ms * NSEC_PER_MSEC;

	if (r->want != BD_OWNER_TAKE || r->lease_ms < LEASE_MIN_MS ||
	    r->lease_ms > LEASE_MAX_MS)
		return BD_OWN_LEASE;
	if (bd_owner_other(m))
		return BD_OWN_HELD;
	/* the same epoch renews, as long as the lease runs */
	if (r->epoch < ack->epoch || (r->epoch == ack->epoch && !bd_owner_epoch()))
		return BD_OWN_EPOCH;
	write_begin();
	set_owner(m, r->epoch, end);
	write_end();
	return BD_OWN_NONE;
}

static void give(const struct bd_owner_req *r, u32 m)
{
	if (ack->owner != m || ack->epoch != r->epoch)
		return;
	write_begin();
	set_owner(BD_OWNER_NONE, ack->epoch, 0);
	write_end();
}

static u32 obey(const struct bd_owner_req *r, u32 m)
{
	if (r->want != BD_OWNER_GIVE)
		return take(r, m);
	give(r, m);
	return BD_OWN_NONE;
}

static void scan_slot(u32 m)
{
	struct bd_owner_req r;
	u32 why, commit = READ_ONCE(reqs->slot[m].commit);

	if (commit == seen[m])
		return;
	smp_rmb();	/* the commit word before the body it announces */
	r = reqs->slot[m];
	seen[m] = commit;
	why = check(&r, m);
	if (!why)
		why = obey(&r, m);
	write_begin();
	if (why) {
		ack->refusal[m] = why;
		ack->refused_seq[m] = r.seq;
	} else {
		ack->accepted_seq[m] = r.seq;
	}
	write_end();
	if (why)
		trace_bd_refused(BD_KIND_OWNER_REQ, m, r.seq, why);
}

/** bd_owner_scan() - look for requests, and for the end of the lease */
void bd_owner_scan(void)
{
	u32 m;

	if (!reqs)
		return;
	if (ack->owner != BD_OWNER_NONE && !bd_owner_epoch()) {
		write_begin();
		set_owner(BD_OWNER_NONE, ack->epoch, 0);
		write_end();
	}
	for (m = 0; m < BD_MONITORS; m++)
		scan_slot(m);
	WRITE_ONCE(ack->now_ns, ktime_get_mono_fast_ns());
}

int bd_owner_init(void)
{
	if (!bd_allow_repair)
		return 0;
	reqs = bd_area_new("owner", BD_KIND_OWNER_REQ, BD_PERM_READ | BD_PERM_WRITE,
			   sizeof(*reqs), &reqs_region);
	ack = bd_area_new("owner.ack", BD_KIND_OWNER_ACK, BD_PERM_READ,
			  sizeof(*ack), &ack_region);
	if (!reqs || !ack) {
		bd_owner_exit();
		return -ENOMEM;
	}
	ack->magic = BD_OWNER_MAGIC;
	ack->owner = BD_OWNER_NONE;
	return 0;
}

void bd_owner_exit(void)
{
	bd_area_free(reqs, sizeof(*reqs), reqs_region);
	bd_area_free(ack, sizeof(*ack), ack_region);
}
