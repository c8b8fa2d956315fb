// SPDX-License-Identifier: GPL-2.0
/*
 * bd_kill.c - signals posted by remote writes and sent from hard interrupt
 * context (section 3.7.2), so that no process of ours has to be scheduled.
 *
 * kill_pid() semantics: the whole process. The start time guards against a
 * pid that was reused since the monitor looked. While a CPU is held by NMI it
 * may hold any siglock: nothing is sent then, the batch waits for the release.
 */
#include <linux/kernel.h>
#include <linux/pid.h>
#include <linux/pid_namespace.h>
#include <linux/rcupdate.h>
#include <linux/sched/signal.h>
#include <linux/user_namespace.h>
#include "bd.h"
#include "bd_trace.h"

static struct bd_kill_reqs *reqs;
static struct bd_kill_acks *acks;
static struct bd_region *reqs_region, *acks_region;
static u64 seen[BD_MONITORS];
static u64 deferred[BD_MONITORS];

/*
 * Init, and that of a container. Where ordinary users may make namespaces, any
 * process can be such an init, and a bomb can be all of them: one that hangs on
 * a user namespace is a process like others.
 */
static bool reaper(struct task_struct *p)
{
	struct pid *pid = task_tgid(p);

	return is_global_init(p) || (pid->numbers[pid->level].nr == 1 &&
				     ns_of_pid(pid)->user_ns == &init_user_ns);
}

static u32 deliver(const struct bd_kill_slot *s)
{
	struct task_struct *p;
	struct pid *pid;
	u32 result;

	rcu_read_lock();
	pid = find_pid_ns(s->pid, &init_pid_ns);
	p = pid ? pid_task(pid, PIDTYPE_TGID) : NULL;
	if (!p)
		result = BD_RES_ESRCH;
	else if (p->start_time != s->start_time)
		result = BD_RES_REUSED;
	else if (p->flags & PF_KTHREAD)
		result = BD_RES_KTHREAD;
	else if (reaper(p))
		result = BD_RES_INIT;
	else
		result = kill_pid(pid, s->signal, 1) ? BD_RES_ESRCH : BD_RES_DONE;
	rcu_read_unlock();
	return result;
}

static bool signal_ok(u32 signal)
{
	return signal && signal <= SIGRTMAX;
}

static u32 judge(const struct bd_kill_slot *s, u32 m, u32 i, u32 batch)
{
	if (!bd_key_present(m))
		return BD_RES_NOKEY;
	if (!bd_tag_ok(m, BD_KIND_KILL_REQ, i, s,
		       offsetof(struct bd_kill_slot, tag), s->tag))
		return BD_RES_TAG;
	if ((u32)s->seq != batch || !bd_seq_ok(BD_AREA_KILL, m, s->seq))
		return BD_RES_SEQ;
	if (!bd_may_act(m, BD_KIND_KILL_REQ))
		return BD_RES_NOTALLOWED;
	return signal_ok(s->signal) ? BD_RES_NONE : BD_RES_RANGE;
}

static void answer(u32 m, u32 i, u32 seq, u32 result)
{
	struct bd_kill_result *r = &acks->result[m][i];

	WRITE_ONCE(r->result, result);
	smp_wmb();	/* the result before the sequence number that names it */
	WRITE_ONCE(r->seq_lo, seq);
}

static void run(u32 m, u64 post)
{
	u32 i, n = BD_POST_COUNT(post), batch = BD_POST_SEQ(post), unsigned_by = 0;
	u64 highest = 0;

	for (i = 0; i < n; i++) {
		struct bd_kill_slot s = reqs->slot[m][i];
		/* who cannot sign one record is not asked for 1023 more */
		u32 result = unsigned_by ? unsigned_by : judge(&s, m, i, batch);

		if (result == BD_RES_TAG || result == BD_RES_NOKEY || result == BD_RES_NOTALLOWED)
			unsigned_by = result;
		if (!result) {
			highest = max(highest, s.seq);
			result = deliver(&s);
		}
		answer(m, i, batch, result);
		trace_bd_hook(BD_KIND_KILL_REQ, m, s.signal, s.pid, result);
	}
	if (highest) {
		bd_seq_take(BD_AREA_KILL, m, highest);
		WRITE_ONCE(acks->accepted_seq[m], highest);
	}
	smp_store_release(&acks->post_ack[m], post);	/* after every result */
}

static void defer(u32 m, u64 post)
{
	u32 i;

	if (deferred[m] == post)
		return;
	deferred[m] = post;
	for (i = 0; i < BD_POST_COUNT(post); i++)
		answer(m, i, BD_POST_SEQ(post), BD_RES_DEFERRED);
}

/** bd_kill_scan() - run what monitors have posted */
void bd_kill_scan(void)
{
	u32 m;

	if (!reqs)
		return;
	for (m = 0; m < BD_MONITORS; m++) {
		u64 post = READ_ONCE(reqs->post[m]);

		if (post == seen[m])
			continue;
		smp_rmb();	/* the post word before the slots it announces */
		if (BD_POST_COUNT(post) > BD_KILL_SLOTS) {
			seen[m] = post;
			trace_bd_refused(BD_KIND_KILL_REQ, m, post, BD_RES_RANGE);
			continue;
		}
		if (bd_nmi_held()) {
			defer(m, post);
			continue;
		}
		seen[m] = post;
		run(m, post);
	}
}

/**
 * bd_kill_agreed() - send what several monitors have agreed on
 * @data: records of struct bd_kill_slot, each cut before its seq
 * @len: bytes of @data
 * @m: monitor that is named for it
 * @results: an enum bd_result for each
 */
u32 bd_kill_agreed(const u8 *data, u32 len, u32 m, u8 *results)
{
	u32 i, n = len / offsetof(struct bd_kill_slot, seq);

	for (i = 0; i < n; i++) {
		struct bd_kill_slot s = {};

		memcpy(&s, data + i * offsetof(struct bd_kill_slot, seq),
		       offsetof(struct bd_kill_slot, seq));
		results[i] = signal_ok(s.signal) ? deliver(&s) : BD_RES_RANGE;
		trace_bd_hook(BD_KIND_PROPOSALS, m, s.signal, s.pid, results[i]);
	}
	return n;
}

int bd_kill_init(void)
{
	if (!bd_allow_repair)
		return 0;
	reqs = bd_area_new("kill", BD_KIND_KILL_REQ, BD_PERM_READ | BD_PERM_WRITE,
			   sizeof(*reqs), &reqs_region);
	acks = bd_area_new("kill.ack", BD_KIND_KILL_ACK, BD_PERM_READ,
			   sizeof(*acks), &acks_region);
	if (reqs && acks)
		return 0;
	bd_kill_exit();
	return -ENOMEM;
}

void bd_kill_exit(void)
{
	bd_area_free(reqs, sizeof(*reqs), reqs_region);
	bd_area_free(acks, sizeof(*acks), acks_region);
}
