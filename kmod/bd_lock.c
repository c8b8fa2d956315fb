// SPDX-License-Identifier: GPL-2.0
/*
 * bd_lock.c - the remote OS lock (section 3.9.1) and the fence: requests,
 * refusals, and the one page that tells monitors what happened.
 *
 * The repair lock has a lease. The fence has none; only a reset ends it.
 * All of this runs in the poller interrupt, one CPU at a time.
 */
#include <linux/cpumask.h>
#include <linux/kernel.h>
#include <linux/percpu.h>
#include <linux/smp.h>
#include <linux/ktime.h>
#include <linux/spinlock.h>
#include "bd.h"
#define CREATE_TRACE_POINTS
#include "bd_trace.h"

#define LOCK_FLAGS	(BD_LOCK_NMI | BD_LOCK_SPARE | BD_LOCK_DRAIN)
#define LEASE_MAX_MS	60000
#define FENCE_DRAIN_MS	1000
/* However often it is renewed: a machine that stood longer is better reset. */
#define HOLD_MAX_NS	(300 * NSEC_PER_SEC)
/* What several agreed on one monitor prolongs no further than this. */
#define AGREED_MAX_NS	(60 * NSEC_PER_SEC)
/* How long a request that spares the NIC's CPU waits for another to lead. */
#define OTHERS_NS	(100 * NSEC_PER_MSEC)
/* After its lease no CPU waits longer for a leader that is stuck. */
#define STUCK_NS	NSEC_PER_SEC

static struct bd_lock_reqs *reqs;
static struct bd_fence *fence;
static struct bd_lock_ack *ack;
static struct bd_region *reqs_region, *fence_region, *ack_region;
static u32 seen[BD_MONITORS], seen_fence[BD_MONITORS];
static u32 last_epoch[BD_MONITORS];	/* of the last acquisition, also when it is over */
static u64 begun_ns;			/* the acquisition that stands */
/*
 * Held by whoever decides by the state and changes it: the CPU that scans, and
 * any held CPU that sees the lease end. Only ever tried, for its owner may be
 * below an NMI; who does not get it comes back on its next turn.
 */
static DEFINE_RAW_SPINLOCK(state_lock);

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

/**
 * bd_lock_granted() - every CPU that can be held is held; leader only
 *
 * Under a fence, which is not granted but stated, the masks follow the CPUs; and
 * one that comes while others are held is counted in any case.
 */
void bd_lock_granted(void)
{
	ack->now_ns = ktime_get_mono_fast_ns();
	if (ack->state == BD_LOCK_FREE ||
	    (ack->state != BD_LOCK_STOPPING && bd_cpus_counted(ack)))
		return;
	if (!raw_spin_trylock(&state_lock))
		return;
	write_begin();
	bd_cpus_count(ack);
	if (ack->state == BD_LOCK_STOPPING) {
		ack->grants++;
		set_state(BD_LOCK_HELD);
	}
	write_end();
	raw_spin_unlock(&state_lock);
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

/**
 * bd_lock_expired() - the lease ran out; called by any held CPU, also in NMI
 * @round: of the freeze that holds the caller
 *
 * Returns true if the caller is free to go, false if the lease was renewed
 * meanwhile, or if another CPU is about to decide.
 */
bool bd_lock_expired(u32 round)
{
	u64 now = ktime_get_mono_fast_ns();
	u64 end = READ_ONCE(ack->lease_end_ns);
	bool over;

	if (!raw_spin_trylock(&state_lock))
		return now > end && now - end > STUCK_NS;
	over = !bd_freeze_stands(round);
	if (!over && now >= ack->lease_end_ns) {
		thaw(true);
		over = true;
	}
	raw_spin_unlock(&state_lock);
	return over;
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

	if (for_good && !(r->flags & BD_LOCK_SPARE))
		how.drain_end_ns = now;
	how.stop_end_ns = how.drain_end_ns + BD_STOP_NS;
	last_epoch[m] = r->epoch;
	begun_ns = now;
	bd_freeze_begin(cpu, &how);	/* not while seq is odd: IPIs take time */
	write_begin();
	bd_cpus_count(ack);
	ack->holder = m;
	ack->epoch = r->epoch;
	ack->lease_end_ns = for_good ? U64_MAX : how.lease_end_ns;
	ack->now_ns = now;
	ack->accepted_seq[m] = r->seq;
	set_state(for_good ? BD_LOCK_FENCED : BD_LOCK_STOPPING);
	write_end();
}

static void renew(const struct bd_lock_req *r, u32 m)
{
	u64 end = ktime_get_mono_fast_ns() + r->lease_ms * NSEC_PER_MSEC;

	end = min(end, begun_ns + (bd_agreement(BD_KIND_LOCK_REQ) ? AGREED_MAX_NS : HOLD_MAX_NS));
	write_begin();
	ack->lease_end_ns = end;
	ack->accepted_seq[m] = r->seq;
	write_end();
	bd_freeze_renew(end);
}

static void release(const struct bd_lock_req *r, u32 m)
{
	write_begin();
	ack->accepted_seq[m] = r->seq;
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
	if (r->want != BD_WANT_LOCK || r->flags & ~LOCK_FLAGS || !r->lease_ms ||
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

/*
 * rxe: the CPU that serves the NIC must not be the one that spins, unless no
 * other one comes.
 */
static bool leave_to_others(int cpu, const struct bd_lock_req *r)
{
	static u64 waiting_seq, since;
	u64 now = ktime_get_mono_fast_ns();

	if (!(r->flags & BD_LOCK_SPARE) || cpu != bd_nic_cpu || !bd_freeze_idle())
		return false;
	if (waiting_seq != r->seq) {
		waiting_seq = r->seq;
		since = now;
	}
	return now - since < OTHERS_NS;
}

/* Who may not begin may let go; a lock that several agreed on is renewed by its holder. */
static bool may(const struct bd_lock_req *r, u32 m)
{
	bool mine = ack->state != BD_LOCK_FREE && ack->holder == m && ack->epoch == r->epoch;

	if (r->want == BD_WANT_FREE)
		return true;
	return mine ? bd_may_write(m, BD_KIND_LOCK_REQ) && !bd_owner_other(m) :
		      bd_may_act(m, BD_KIND_LOCK_REQ);
}

static void scan_lock(int cpu, u32 m)
{
	struct bd_lock_req r;
	u32 why, commit = READ_ONCE(reqs->slot[m].commit);

	if (commit == seen[m])
		return;
	smp_rmb();	/* the commit word before the body it announces */
	r = reqs->slot[m];
	if (leave_to_others(cpu, &r))
		return;
	if (!raw_spin_trylock(&state_lock))
		return;
	seen[m] = commit;
	why = check(&r, m, BD_KIND_LOCK_REQ, BD_AREA_LOCK);
	if (!why)
		why = may(&r, m) ? obey(cpu, &r, m) : BD_REFUSE_NOTALLOWED;
	if (why)
		refuse(m, r.seq, why);
	raw_spin_unlock(&state_lock);
}

static bool fence_ok(const struct bd_lock_req *r)
{
	return r->want == BD_FENCE_WANT && !(r->flags & ~LOCK_FLAGS) && r->drain_ms <= FENCE_DRAIN_MS;
}

/*
 * The fence outranks a lock that stands. What may run on is silent before it is
 * told. A second fence may hold the CPU that the first one spared, never the reverse.
 */
static void close_fence(int cpu, struct bd_lock_req *r, u32 m)
{
	if (ack->state == BD_LOCK_FENCED && !bd_freeze_spares())
		r->flags &= ~BD_LOCK_SPARE;
	if (r->flags & BD_LOCK_SPARE)
		bd_silence();
	if (bd_freeze_idle()) {
		begin(cpu, r, m, true);
		return;
	}
	bd_freeze_fence(r->flags);
	write_begin();
	ack->holder = m;
	ack->lease_end_ns = U64_MAX;
	ack->accepted_seq[m] = r->seq;
	set_state(BD_LOCK_FENCED);
	write_end();
}

static void scan_fence(int cpu, u32 m)
{
	struct bd_lock_req r;
	u32 why, commit = READ_ONCE(fence->slot[m].commit);

	if (commit == seen_fence[m])
		return;
	smp_rmb();	/* the commit word before the body it announces */
	memcpy(&r, &fence->slot[m], sizeof(r));
	if (!raw_spin_trylock(&state_lock))
		return;
	seen_fence[m] = commit;
	why = check(&r, m, BD_KIND_FENCE, BD_AREA_FENCE);
	if (!why && !bd_may_act(m, BD_KIND_FENCE))
		why = BD_REFUSE_NOTALLOWED;
	if (!why && !fence_ok(&r))
		why = BD_REFUSE_LEASE;
	if (why)
		refuse(m, r.seq, why);
	else
		close_fence(cpu, &r, m);
	raw_spin_unlock(&state_lock);
}

/**
 * bd_lock_agreed() - a lock or fence that several monitors have agreed on
 * @cpu: this one
 * @p: its data is a struct bd_lock_req, cut before its monitor
 * @m: monitor in whose name it is held
 * @result: enum bd_lock_refusal
 *
 * Returns false if it must wait.
 */
bool bd_lock_agreed(int cpu, const struct bd_proposal *p, u32 m, u32 *result)
{
	struct bd_lock_req r = { .monitor = m, .seq = p->seq };

	memcpy(&r, p->data, offsetof(struct bd_lock_req, monitor));
	if (p->kind == BD_KIND_FENCE && (!bd_allow_fence || !fence_ok(&r))) {
		*result = BD_REFUSE_NOTALLOWED;
		return true;
	}
	if (p->kind == BD_KIND_LOCK_REQ && leave_to_others(cpu, &r))
		return false;
	if (!raw_spin_trylock(&state_lock))
		return false;
	*result = BD_REFUSE_NONE;
	if (p->kind == BD_KIND_FENCE)
		close_fence(cpu, &r, m);
	else
		*result = obey(cpu, &r, m);
	raw_spin_unlock(&state_lock);
	return true;
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

int bd_lock_init(void)
{
	ack = bd_area_new("lock.ack", BD_KIND_LOCK_ACK, BD_PERM_READ,
			  sizeof(*ack), &ack_region);
	if (!ack)
		return -ENOMEM;
	ack->magic = BD_LOCK_MAGIC;
	ack->ncpus = min_t(u32, cpumask_last(cpu_online_mask) + 1, BD_MAX_CPUS);
	if (bd_allow_repair)
		reqs = bd_area_new("lock", BD_KIND_LOCK_REQ, BD_PERM_READ | BD_PERM_WRITE,
				   sizeof(*reqs), &reqs_region);
	if (bd_allow_fence)
		fence = bd_area_new("fence", BD_KIND_FENCE, BD_PERM_READ | BD_PERM_WRITE,
				    sizeof(*fence), &fence_region);
	if ((!bd_allow_repair || reqs) && (!bd_allow_fence || fence))
		return 0;
	bd_lock_exit();
	return -ENOMEM;
}

void bd_lock_exit(void)
{
	bd_area_free(reqs, sizeof(*reqs), reqs_region);
	bd_area_free(fence, sizeof(*fence), fence_region);
	bd_area_free(ack, sizeof(*ack), ack_region);
}
