// SPDX-License-Identifier: GPL-2.0
/*
 * bd_knob.c - typed, bounded knobs that a monitor may turn (section 3.7.1).
 *
 * Hard knobs (reset, crash kernel) act in interrupt context. Soft ones need a
 * task that can sleep: a FIFO kthread, which a fork bomb cannot starve.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/err.h>
#include <linux/kexec.h>
#include <linux/kthread.h>
#include <linux/reboot.h>
#include <linux/sched.h>
#include "bd.h"
#include "bd_trace.h"

static struct bd_knob_reqs *reqs;
static struct bd_knob_acks *acks;
static struct bd_region *reqs_region, *acks_region;
static struct task_struct *worker;
static u32 seen[BD_MONITORS][BD_KNOB_SLOTS];

/* Accepted soft knobs; full[] is set by the poller, cleared by the worker. */
static struct bd_knob_slot queue[BD_MONITORS][BD_KNOB_SLOTS];
static u32 full[BD_MONITORS][BD_KNOB_SLOTS];

static const struct bounds {
	s64 min, max;
} bounds[] = {
	[BD_KNOB_OVERCOMMIT_MEMORY] = { 0, 2 },
	[BD_KNOB_THREADS_MAX] = { 64, 4194304 },
	[BD_KNOB_UID_NPROC] = { 0, 4194304 },
	[BD_KNOB_NICE] = { -20, 19 },
	[BD_KNOB_SCHED_NORMAL] = { -20, 19 },
	[BD_KNOB_SCHED_FIFO] = { 0, 0 },
	[BD_KNOB_POWEROFF] = { 0, 1 },
	[BD_KNOB_REBOOT] = { 0, 1 },
	[BD_KNOB_CRASH_KEXEC] = { 0, 0 },
	[BD_KNOB_PID_MAX] = { 301, 4194304 },
	[BD_KNOB_DROP_CACHES] = { 1, 3 },
	[BD_KNOB_SWAPPINESS] = { 0, 200 },
};

static void answer(u32 m, u32 i, const struct bd_knob_slot *s, u32 result, s64 value)
{
	struct bd_knob_result *r = &acks->result[m][i];

	WRITE_ONCE(r->value, value);
	WRITE_ONCE(r->result, result);
	smp_wmb();	/* the result before the sequence number that names it */
	WRITE_ONCE(r->seq_lo, (u32)s->seq);
	trace_bd_hook(BD_KIND_KNOB_REQ, m, s->knob, s->arg, result);
}

static bool in_bounds(const struct bd_knob_slot *s)
{
	return s->knob && s->knob < ARRAY_SIZE(bounds) &&
	       s->value >= bounds[s->knob].min && s->value <= bounds[s->knob].max;
}

static u32 judge(const struct bd_knob_slot *s, u32 m, u32 i)
{
	if (!bd_key_present(m))
		return BD_RES_NOKEY;
	if (!bd_tag_ok(m, BD_KIND_KNOB_REQ, i, s,
		       offsetof(struct bd_knob_slot, tag), s->tag))
		return BD_RES_TAG;
	if (s->commit != (u32)s->seq || !bd_seq_ok(BD_AREA_KNOB, m, s->seq))
		return BD_RES_SEQ;
	bd_seq_take(BD_AREA_KNOB, m, s->seq);
	WRITE_ONCE(acks->accepted_seq[m], s->seq);
	if (!bd_may_act(m, BD_KIND_KNOB_REQ))
		return BD_RES_NOTALLOWED;
	return in_bounds(s) ? BD_RES_NONE : BD_RES_RANGE;
}

/* Knobs that act at once, in interrupt context; an orderly reboot is soft. */
static bool is_hard(const struct bd_knob_slot *s)
{
	return s->knob == BD_KNOB_CRASH_KEXEC || (s->knob == BD_KNOB_REBOOT && s->value);
}

static void act(const struct bd_knob_slot *s, u32 m, u32 i)
{
	if (s->knob == BD_KNOB_CRASH_KEXEC && !kexec_crash_loaded()) {
		answer(m, i, s, BD_RES_ERROR, -ENOENT);
		return;
	}
	answer(m, i, s, BD_RES_DONE, 0);
	if (s->knob == BD_KNOB_CRASH_KEXEC)
		panic("backdoor: replaced by the crash kernel on monitor %u's request", m);
	emergency_restart();
}

static u32 begin(const struct bd_knob_slot *s, u32 m, u32 i)
{
	if (is_hard(s)) {
		act(s, m, i);
		return BD_RES_ERROR;	/* who comes back has no crash kernel */
	}
	queue[m][i] = *s;
	answer(m, i, s, BD_RES_QUEUED, 0);
	smp_store_release(&full[m][i], 1);	/* after the record */
	wake_up_process(worker);
	return BD_RES_QUEUED;
}

static void scan_slot(u32 m, u32 i)
{
	struct bd_knob_slot s;
	u32 result, commit = READ_ONCE(reqs->slot[m][i].commit);

	if (commit == seen[m][i] || READ_ONCE(full[m][i]))
		return;
	smp_rmb();	/* the commit word before the body it announces */
	s = reqs->slot[m][i];
	/* the worker is woken under a lock that a CPU held by NMI may have */
	if (!is_hard(&s) && bd_nmi_held())
		return;
	seen[m][i] = commit;
	result = judge(&s, m, i);
	if (result) {
		answer(m, i, &s, result, 0);
		return;
	}
	begin(&s, m, i);
}

/**
 * bd_knob_agreed() - turn a knob that several monitors have agreed on
 * @p: its data is a struct bd_knob_slot, cut before its seq
 * @m: monitor in whose results the outcome is told, under @p's seq
 * @result: BD_RES_QUEUED, BD_RES_DONE or why not
 *
 * Returns false if it must wait.
 */
bool bd_knob_agreed(const struct bd_proposal *p, u32 m, u32 *result)
{
	struct bd_knob_slot s = { .seq = p->seq };

	memcpy(&s, p->data, offsetof(struct bd_knob_slot, seq));
	*result = BD_RES_RANGE;
	if (!in_bounds(&s))
		return true;
	if (READ_ONCE(full[m][p->index]) || (!is_hard(&s) && bd_nmi_held()))
		return false;
	*result = begin(&s, m, p->index);
	return true;
}

/** bd_knob_scan() - look for posted knobs */
void bd_knob_scan(void)
{
	u32 m, i;

	if (!reqs)
		return;
	for (m = 0; m < BD_MONITORS; m++)
		for (i = 0; i < BD_KNOB_SLOTS; i++)
			scan_slot(m, i);
}

static bool work_waits(void)
{
	u32 m, i;

	for (m = 0; m < BD_MONITORS; m++)
		for (i = 0; i < BD_KNOB_SLOTS; i++)
			if (smp_load_acquire(&full[m][i]))	/* before the record */
				return true;
	return false;
}

static void work(void)
{
	u32 m, i;

	for (m = 0; m < BD_MONITORS; m++) {
		for (i = 0; i < BD_KNOB_SLOTS; i++) {
			s64 before = 0;
			int err;

			if (!smp_load_acquire(&full[m][i]))	/* before the record */
				continue;
			err = bd_knob_apply(&queue[m][i], &before);
			answer(m, i, &queue[m][i], err ? BD_RES_ERROR : BD_RES_DONE,
			       err ? err : before);
			smp_store_release(&full[m][i], 0);	/* after its last use */
		}
	}
}

static int work_loop(void *unused)
{
	while (!kthread_should_stop()) {
		set_current_state(TASK_INTERRUPTIBLE);
		if (!work_waits() && !kthread_should_stop())
			schedule();
		__set_current_state(TASK_RUNNING);
		work();
	}
	return 0;
}

static int worker_start(void)
{
	worker = kthread_run(work_loop, NULL, "backdoor/knobs");
	if (IS_ERR(worker)) {
		int err = PTR_ERR(worker);

		worker = NULL;
		return err;
	}
	sched_set_fifo_low(worker);
	return 0;
}

int bd_knob_init(void)
{
	int err;

	if (!bd_allow_repair)
		return 0;
	err = worker_start();
	if (err)
		return err;
	reqs = bd_area_new("knob", BD_KIND_KNOB_REQ, BD_PERM_READ | BD_PERM_WRITE,
			   sizeof(*reqs), &reqs_region);
	acks = bd_area_new("knob.ack", BD_KIND_KNOB_ACK, BD_PERM_READ,
			   sizeof(*acks), &acks_region);
	if (reqs && acks)
		return 0;
	bd_knob_exit();
	return -ENOMEM;
}

void bd_knob_exit(void)
{
	if (worker)
		kthread_stop(worker);
	bd_area_free(reqs, sizeof(*reqs), reqs_region);
	bd_area_free(acks, sizeof(*acks), acks_region);
}
