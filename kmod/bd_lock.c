// SPDX-License-Identifier: GPL-2.0
/*
 * bd_lock.c - the remote OS lock (section 3.9.1) and the fence: requests,
 * refusals, and the one page that tells monitors what happened.
 *
 * The repair lock has a lease. The fence has none; only a reset ends it.
 * All of this runs in the poller interrupt, one CPU at a time.
 */
#include <linux/kernel.h>
#include <linux/percpu.h>
#include <linux/smp.h>
#include <linux/ktime.h>
#include "bd.h"
#define CREATE_TRACE_POINTS
#include "bd_trace.h"

#define LEASE_MAX_MS	60000
/* Beyond draining: time for slow vCPUs and NMIs before a partial grant. */
#define STOP_NS		NSEC_PER_SEC

static struct bd_lock_reqs *reqs;
static struct bd_fence *fence;
static struct bd_lock_ack *ack;
static struct bd_region *reqs_region, *fence_region, *ack_region;
static u32 seen[BD_MONITORS], seen_fence[BD_MONITORS];
static u32 last_epoch[BD_MONITORS];	/* of the last acquisition, also when it is over */

/** bd_lock_ack() - the page that monitors read */
struct bd_lock_ack *bd_lock_ack(void)
{
	return ack;
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

static void set_state(u32 state)
{
	ack->state = state;
	ack->since_ns = ktime_get_mono_fast_ns();
	trace_bd_lock_state(state, ack->holder, ack->epoch, ack->drained);
}

static void refuse(u32 m, u64 seq, u32 why)
{
	write_begin();
	ack->refusal[m] = why;
	ack->refused_seq[m] = seq;
	write_end();
	trace_bd_refused(BD_KIND_LOCK_REQ, m, seq, why);
}

static void add_mask(u64 *mask, int cpu)
{
	mask[cpu / 64] |= 1ULL << (cpu % 64);
}

/* Sums up the per-CPU records: masks, and whether the view is drained. */
static void count_cpus(void)
{
	int cpu;

	memset(ack->parked, 0, sizeof(ack->parked));
	memset(ack->ipi, 0, sizeof(ack->ipi));
	memset(ack->nmi, 0, sizeof(ack->nmi));
	memset(ack->free, 0, sizeof(ack->free));
	ack->drained = 1;
	ack->ncpus = 0;
	for_each_online_cpu(cpu) {
		struct bd_lock_cpu *c = &ack->cpu[cpu];
		u8 where = READ_ONCE(c->where);

		if (cpu >= BD_MAX_CPUS)
			break;
		ack->ncpus++;
		if (where == BD_CPU_RUNNING)
			add_mask(ack->free, cpu);
		else if (where >= BD_CPU_NMI_USER)
			add_mask(ack->nmi, cpu);
		else
			add_mask(ack->ipi, cpu);
		if (where == BD_CPU_RUNNING || !c->drained)
			ack->drained = 0;
	}
}

/** bd_lock_granted() - every CPU that can be held is held; leader only */
void bd_lock_granted(void)
{
	ack->now_ns = ktime_get_mono_fast_ns();
	if (ack->state != BD_LOCK_STOPPING)
		return;
	write_begin();
	count_cpus();
	ack->grants++;
	set_state(BD_LOCK_HELD);
	write_end();
}

static void thaw(bool expired)
{
	write_begin();
	if (expired)
		ack->expired++;
	set_state(BD_LOCK_FREE);
	write_end();
	bd_freeze_end();
}

/** bd_lock_expired() - the lease ran out; called by any held CPU, also in NMI */
void bd_lock_expired(void)
{
	static atomic_t thawing = ATOMIC_INIT(0);

	if (atomic_cmpxchg(&thawing, 0, 1))
		return;
	if (!bd_freeze_idle() && ktime_get_mono_fast_ns() >= ack->lease_end_ns)
		thaw(true);
	atomic_set(&thawing, 0);
}

static u32 check(const struct bd_lock_req *r, u32 m, u32 kind, enum bd_area area)
{
	if (!bd_key_present(m))
		return BD_REFUSE_NOKEY;
	if (r->monitor != m ||
	    !bd_tag_ok(m, kind, m, r, offsetof(struct bd_lock_req, tag), r->tag))
		return BD_REFUSE_TAG;
	if (r->commit != (u32)r->seq || !bd_seq_ok(area, m, r->seq))
		return BD_REFUSE_SEQ;
	bd_seq_take(area, m, r->seq);
	return BD_REFUSE_NONE;
}

static void accepted(const struct bd_lock_req *r, u32 m)
{
	ack->accepted_seq[m] = r->seq;
}

static void begin(int cpu, const struct bd_lock_req *r, u32 m, bool for_good)
{
	u64 now = ktime_get_mono_fast_ns();
	struct bd_stop how = {
		.epoch = r->epoch,
		.flags = r->flags,
		.drain_end_ns = now + r->drain_ms * NSEC_PER_MSEC,
		.lease_end_ns = now + r->lease_ms * NSEC_PER_MSEC,
		.fence = for_good,
	};

	if (for_good)
		how.drain_end_ns = now;
	how.stop_end_ns = how.drain_end_ns + STOP_NS;
	last_epoch[m] = r->epoch;
	write_begin();
	ack->holder = m;
	ack->epoch = r->epoch;
	ack->lease_end_ns = for_good ? U64_MAX : how.lease_end_ns;
	ack->now_ns = now;
	accepted(r, m);
	set_state(for_good ? BD_LOCK_FENCED : BD_LOCK_STOPPING);
	write_end();
	bd_freeze_begin(cpu, &how);
}

static void renew(const struct bd_lock_req *r, u32 m)
{
	u64 end = ktime_get_mono_fast_ns() + r->lease_ms * NSEC_PER_MSEC;

	write_begin();
	ack->lease_end_ns = end;
	accepted(r, m);
	write_end();
	bd_freeze_renew(end);
}

static void release(const struct bd_lock_req *r, u32 m)
{
	write_begin();
	accepted(r, m);
	write_end();
	if (ack->state != BD_LOCK_FREE && ack->holder == m)
		thaw(false);
}

/* A checked request for the repair lock; returns a refusal or none. */
static u32 obey(int cpu, const struct bd_lock_req *r, u32 m)
{
	bool mine = ack->holder == m && ack->epoch == r->epoch;

	if (ack->state == BD_LOCK_FENCED)
		return BD_REFUSE_FENCED;
	if (r->want == BD_WANT_FREE) {
		release(r, m);
		return BD_REFUSE_NONE;
	}
	if (r->want != BD_WANT_LOCK || !r->lease_ms ||
	    r->lease_ms > LEASE_MAX_MS || r->drain_ms > r->lease_ms)
		return BD_REFUSE_LEASE;
	/* A renewal that comes after its lease has ended is no new request. */
	if (ack->state == BD_LOCK_FREE && r->epoch == last_epoch[m])
		return BD_REFUSE_LEASE;
	if (ack->state == BD_LOCK_FREE)
		begin(cpu, r, m, false);
	else if (mine)
		renew(r, m);
	else
		return BD_REFUSE_BUSY;
	return BD_REFUSE_NONE;
}

static void scan_lock(int cpu, u32 m)
{
	struct bd_lock_req r;
	u32 why, commit = READ_ONCE(reqs->slot[m].commit);

	if (commit == seen[m])
		return;
	smp_rmb();	/* the commit word before the body it announces */
	r = reqs->slot[m];
	/* rxe: the CPU that serves the NIC must not be the one that spins */
	if ((r.flags & BD_LOCK_SPARE) && cpu == bd_nic_cpu && bd_freeze_idle() &&
	    num_online_cpus() > 1)
		return;
	seen[m] = commit;
	why = check(&r, m, BD_KIND_LOCK_REQ, BD_AREA_LOCK);
	if (!why)
		why = obey(cpu, &r, m);
	if (why)
		refuse(m, r.seq, why);
}

static void scan_fence(int cpu, u32 m)
{
	struct bd_lock_req r;
	u32 why, commit = READ_ONCE(fence->slot[m].commit);

	if (commit == seen_fence[m])
		return;
	smp_rmb();	/* the commit word before the body it announces */
	r = fence->slot[m];
	seen_fence[m] = commit;
	why = check(&r, m, BD_KIND_FENCE, BD_AREA_FENCE);
	if (!why && r.want != BD_FENCE_WANT)
		why = BD_REFUSE_LEASE;
	if (why) {
		refuse(m, r.seq, why);
		return;
	}
	if (bd_freeze_idle()) {
		begin(cpu, &r, m, true);
		return;
	}
	bd_freeze_fence();
	write_begin();
	ack->holder = m;
	ack->lease_end_ns = U64_MAX;
	accepted(&r, m);
	set_state(BD_LOCK_FENCED);
	write_end();
}

/**
 * bd_lock_scan() - look for requests
 * @cpu: this one, which leads if a freeze begins here
 */
void bd_lock_scan(int cpu)
{
	u32 m;

	for (m = 0; m < BD_MONITORS; m++) {
		if (reqs)
			scan_lock(cpu, m);
		if (fence)
			scan_fence(cpu, m);
	}
}

static int requests_init(void)
{
	int err;

	if (bd_allow_repair) {
		reqs = bd_pages_alloc(sizeof(*reqs));
		if (!reqs)
			return -ENOMEM;
		err = bd_region_add("lock", BD_KIND_LOCK_REQ,
				    BD_PERM_READ | BD_PERM_WRITE, reqs,
				    sizeof(*reqs), &reqs_region);
		if (err)
			return err;
	}
	if (bd_allow_fence) {
		fence = bd_pages_alloc(sizeof(*fence));
		if (!fence)
			return -ENOMEM;
		return bd_region_add("fence", BD_KIND_FENCE,
				     BD_PERM_READ | BD_PERM_WRITE, fence,
				     sizeof(*fence), &fence_region);
	}
	return 0;
}

int bd_lock_init(void)
{
	int err;

	ack = bd_pages_alloc(sizeof(*ack));
	if (!ack)
		return -ENOMEM;
	ack->magic = BD_LOCK_MAGIC;
	ack->ncpus = num_online_cpus();
	err = bd_region_add("lock.ack", BD_KIND_LOCK_ACK, BD_PERM_READ, ack,
			    sizeof(*ack), &ack_region);
	if (!err)
		err = requests_init();
	if (err)
		bd_lock_exit();
	return err;
}

void bd_lock_exit(void)
{
	bd_region_del(reqs_region);
	bd_region_del(fence_region);
	bd_region_del(ack_region);
	bd_pages_free(reqs, sizeof(*reqs));
	bd_pages_free(fence, sizeof(*fence));
	bd_pages_free(ack, sizeof(*ack));
}
