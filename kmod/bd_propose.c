// SPDX-License-Identifier: GPL-2.0
/*
 * bd_propose.c - the delayed-write agreement (section 3.8): a hook for which
 * k of n is set takes effect only when k monitors have asked for the same bytes
 * at the same place within a window. What each asked for is copied at once and
 * compared as a copy. Runs in the poller interrupt, one CPU at a time; what the
 * log is told of disagreements it hears in the census thread.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/bitops.h>
#include <linux/kernel.h>
#include <linux/ktime.h>
#include <linux/string.h>
#include "bd.h"
#include "bd_trace.h"

static struct bd_proposals *shared;
static struct bd_proposal_acks *acks;
static struct bd_region *shared_region, *acks_region;
static u32 seen[BD_MONITORS][BD_PROPOSALS];

/* The copies that wait or have waited. */
static struct bd_proposals *copies;
static struct {
	u32 state;
	u64 end_ns;
} waits[BD_MONITORS][BD_PROPOSALS];

/* Who was last not agreed with, and how often it happened, for the log. */
static struct {
	u32 times, monitor, kind, index;
} apart;

#define REPORT_NS	(10 * NSEC_PER_SEC)

/* Those that ask for one place: who, in which of his slots, and do they match. */
struct votes {
	u32 same;
	u32 other;
	u8 slot[BD_MONITORS];
};

static void settle(u32 m, u32 i, u32 state, u32 agreed, u32 needed)
{
	struct bd_proposal_ack *a = &acks->slot[m][i];
	const struct bd_proposal *p = &copies->slot[m][i];

	waits[m][i].state = state;
	WRITE_ONCE(a->agreed, agreed);
	WRITE_ONCE(a->needed, needed);
	WRITE_ONCE(a->decided_ns, state == BD_PROP_PENDING ? 0 : ktime_get_mono_fast_ns());
	smp_wmb();	/* all of it before the state that tells of it */
	WRITE_ONCE(a->state, state);
	smp_wmb();	/* the answer before the number that names it */
	WRITE_ONCE(a->seq_lo, (u32)p->seq);
	if (state == BD_PROP_DISAGREED) {
		WRITE_ONCE(apart.monitor, m);
		WRITE_ONCE(apart.kind, p->kind);
		WRITE_ONCE(apart.index, p->index);
		smp_wmb();	/* whose it was before the number that tells of it */
		WRITE_ONCE(apart.times, apart.times + 1);
	}
	trace_bd_proposal(p->kind, p->index, m, state, agreed);
}

static bool whole(u32 len, u32 record, u32 index, u32 slots)
{
	return len && len % record == 0 && len / record <= slots && index < slots &&
	       index + len / record <= slots;
}

static bool shape_ok(const struct bd_proposal *p)
{
	switch (p->kind) {
	case BD_KIND_KILL_REQ:
		return p->len <= BD_PROPOSAL_DATA &&
		       whole(p->len, offsetof(struct bd_kill_slot, seq), p->index, BD_KILL_SLOTS);
	case BD_KIND_KNOB_REQ:
		return p->len == offsetof(struct bd_knob_slot, seq) && p->index < BD_KNOB_SLOTS;
	case BD_KIND_LOCK_REQ:
	case BD_KIND_FENCE:
		return p->len == offsetof(struct bd_lock_req, monitor) && !p->index;
	}
	return false;
}

/* May this copy wait for others, and how long? BD_PROP_PENDING if so. */
static u32 judge(const struct bd_proposal *p, u32 m, u32 i, u32 *window_ms)
{
	const struct bd_agreement *a;

	if (!bd_key_present(m))
		return BD_PROP_NOKEY;
	if (p->monitor != m || p->len > BD_PROPOSAL_DATA ||
	    !bd_proposal_tag_ok(m, i, p))
		return BD_PROP_TAG;
	if (p->commit != (u32)p->seq || !bd_seq_ok(BD_AREA_PROPOSAL, m, p->seq))
		return BD_PROP_SEQ;
	bd_seq_take(BD_AREA_PROPOSAL, m, p->seq);
	if (!shape_ok(p) || p->reserved)
		return BD_PROP_RANGE;
	a = bd_agreement(p->kind);
	if (!a || !(a->voters & BIT(m)) || !bd_may_write(m, p->kind) ||
	    !bd_may_write(m, BD_KIND_PROPOSALS))
		return BD_PROP_NOTALLOWED;
	*window_ms = a->window_ms;	/* once: an operator may end the agreement meanwhile */
	return p->epoch == bd_owner_epoch() ? BD_PROP_PENDING : BD_PROP_EPOCH;
}

static void look(u32 m, u32 i)
{
	struct bd_proposal *mine = &copies->slot[m][i];
	u32 commit = READ_ONCE(shared->slot[m][i].commit), state, window_ms = 0;

	if (commit == seen[m][i])
		return;
	smp_rmb();	/* the commit word before the body it announces */
	seen[m][i] = commit;
	if (waits[m][i].state == BD_PROP_PENDING)
		settle(m, i, BD_PROP_REPLACED, 0, 0);
	memcpy(mine, &shared->slot[m][i], sizeof(*mine));
	acks->slot[m][i].count = 0;
	acks->slot[m][i].value = 0;
	state = judge(mine, m, i, &window_ms);
	if (state == BD_PROP_PENDING)
		waits[m][i].end_ns = ktime_get_mono_fast_ns() + (u64)window_ms * NSEC_PER_MSEC;
	settle(m, i, state, state == BD_PROP_PENDING ? BIT(m) : 0, 0);
}

static bool same_place(const struct bd_proposal *a, const struct bd_proposal *b)
{
	return a->kind == b->kind && a->index == b->index;
}

static bool same(const struct bd_proposal *a, const struct bd_proposal *b)
{
	return a->len == b->len && a->epoch == b->epoch &&
	       !memcmp(a->data, b->data, a->len);
}

/* Who was told that no agreement is possible has spoken all the same. */
static void count_one(const struct bd_proposal *p, u32 m, u32 i, u64 now, struct votes *v)
{
	const struct bd_proposal *q = &copies->slot[m][i];
	bool pending = waits[m][i].state == BD_PROP_PENDING;
	bool spoke = waits[m][i].state == BD_PROP_DISAGREED && now < waits[m][i].end_ns;

	if ((!pending && !spoke) || !same_place(p, q))
		return;
	if (!same(p, q)) {
		v->other |= BIT(m);
	} else if (pending) {
		v->same |= BIT(m);
		v->slot[m] = i;
	}
}

static void count(const struct bd_proposal *p, u64 now, struct votes *v)
{
	u32 m, i;

	memset(v, 0, sizeof(*v));
	for (m = 0; m < BD_MONITORS; m++)
		for (i = 0; i < BD_PROPOSALS; i++)
			count_one(p, m, i, now, v);
}

/* Carry out what was agreed; false: not just now. */
static bool carry_out(int cpu, const struct bd_proposal *p, u32 m, struct bd_proposal_ack *a)
{
	u32 result;

	switch (p->kind) {
	case BD_KIND_KILL_REQ:
		if (bd_nmi_held())
			return false;
		a->count = bd_kill_agreed(p->data, p->len, m, a->result);
		return true;
	case BD_KIND_KNOB_REQ:
		if (!bd_knob_agreed(p, m, &result))
			return false;
		break;
	default:
		if (!bd_lock_agreed(cpu, p, m, &result))
			return false;
	}
	a->count = 1;
	a->result[0] = result;
	return true;
}

/* All that ask for this place get their answer. */
static void answer_all(const struct bd_proposal *p, const struct votes *v, u32 first, u32 k)
{
	const struct bd_proposal_ack *done = &acks->slot[first][v->slot[first]];
	u32 m, i;

	for (m = 0; m < BD_MONITORS; m++) {
		for (i = 0; i < BD_PROPOSALS; i++) {
			if (waits[m][i].state != BD_PROP_PENDING ||
			    !same_place(p, &copies->slot[m][i]))
				continue;
			if (!same(p, &copies->slot[m][i])) {
				WRITE_ONCE(acks->disagreements, acks->disagreements + 1);
				settle(m, i, BD_PROP_DISAGREED, v->same, k);
				continue;
			}
			if (m != first) {
				acks->slot[m][i].count = done->count;
				memcpy(acks->slot[m][i].result, done->result, done->count);
			}
			settle(m, i, BD_PROP_DONE, v->same, k);
		}
	}
}

/* Whose proposal of these came first: the lock is held in his name. */
static u32 first_of(const struct votes *v)
{
	u32 m, first = __ffs(v->same);

	for (m = first + 1; m < BD_MONITORS; m++)
		if (v->same & BIT(m) &&
		    waits[m][v->slot[m]].end_ns < waits[first][v->slot[first]].end_ns)
			first = m;
	return first;
}

static void decide(int cpu, u32 m, u32 i, u64 now)
{
	const struct bd_proposal *p = &copies->slot[m][i];
	const struct bd_agreement *a = bd_agreement(p->kind);
	u32 k = a ? a->k : BD_MONITORS + 1, silent, first;
	struct votes v;

	count(p, now, &v);
	if (hweight32(v.same) >= k) {
		first = first_of(&v);
		if (!carry_out(cpu, p, first, &acks->slot[first][v.slot[first]]))
			return;
		WRITE_ONCE(acks->agreements, acks->agreements + 1);
		answer_all(p, &v, first, k);
		return;
	}
	silent = a ? hweight32(a->voters & ~(v.same | v.other)) : 0;
	if (v.other && hweight32(v.same) + silent < k) {
		WRITE_ONCE(acks->disagreements, acks->disagreements + 1);
		settle(m, i, BD_PROP_DISAGREED, v.same, k);
	} else if (now >= waits[m][i].end_ns) {
		WRITE_ONCE(acks->expired, acks->expired + 1);
		settle(m, i, v.other ? BD_PROP_DISAGREED : BD_PROP_EXPIRED, v.same, k);
	} else {
		WRITE_ONCE(acks->slot[m][i].needed, k);
		WRITE_ONCE(acks->slot[m][i].agreed, v.same);
	}
}

/**
 * bd_propose_scan() - look for proposals and decide what can be decided
 * @cpu: this one
 */
void bd_propose_scan(int cpu)
{
	u64 now = ktime_get_mono_fast_ns();
	u32 m, i;

	if (!shared)
		return;
	WRITE_ONCE(acks->now_ns, now);
	for (m = 0; m < BD_MONITORS; m++)
		for (i = 0; i < BD_PROPOSALS; i++)
			look(m, i);
	for (m = 0; m < BD_MONITORS; m++)
		for (i = 0; i < BD_PROPOSALS; i++)
			if (waits[m][i].state == BD_PROP_PENDING)
				decide(cpu, m, i, now);
}

/**
 * bd_propose_report() - tell the log of disagreements; the census thread calls it
 * @now_ns: monotonic
 *
 * Not where they are found: that is an interrupt, and a CPU that the OS lock
 * holds may have the console. A line each ten seconds at most, with all since
 * the one before.
 */
void bd_propose_report(u64 now_ns)
{
	static u64 told_ns;
	static u32 told;
	u32 times = READ_ONCE(apart.times);

	if (times == told || (told_ns && now_ns - told_ns < REPORT_NS))
		return;
	smp_rmb();	/* the number before whose it was */
	pr_warn("proposals not agreed with: %u; the last: monitor %u, kind %u, place %u\n",
		times - told, READ_ONCE(apart.monitor), READ_ONCE(apart.kind),
		READ_ONCE(apart.index));
	told = times;
	told_ns = now_ns;
}

int bd_propose_init(void)
{
	if (!bd_allow_repair)
		return 0;
	copies = bd_pages_alloc(sizeof(*copies));
	shared = bd_area_new("proposal", BD_KIND_PROPOSALS, BD_PERM_READ | BD_PERM_WRITE,
			     sizeof(*shared), &shared_region);
	acks = bd_area_new("proposal.ack", BD_KIND_PROPOSAL_ACK, BD_PERM_READ,
			   sizeof(*acks), &acks_region);
	if (copies && shared && acks)
		return 0;
	bd_propose_exit();
	return -ENOMEM;
}

void bd_propose_exit(void)
{
	bd_area_free(shared, sizeof(*shared), shared_region);
	bd_area_free(acks, sizeof(*acks), acks_region);
	bd_pages_free(copies, sizeof(*copies));
}
