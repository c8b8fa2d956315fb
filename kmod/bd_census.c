// SPDX-License-Identifier: GPL-2.0
/*
 * bd_census.c - counts user processes every census_ms from a SCHED_FIFO
 * thread, for numbers the kernel keeps but does not export (nr_threads,
 * nr_running, footprints). Kernel threads never count.
 *
 * Bounded: a census takes at most a twentieth of one CPU, for the next one
 * waits 19 times as long as the last ones took: the shorter of two, for one
 * that a hypervisor interrupted says little. CENSUS_COST shows the last one.
 *
 * A CPU that spins with interrupts off keeps the thread that was queued on it:
 * nobody pulls a SCHED_FIFO task from a CPU that answers no IPI. So there are
 * two that share no CPU, and the one takes over when the other's is overdue.
 */
#include <linux/cpumask.h>
#include <linux/cred.h>
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/hrtimer.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/sched.h>
#include <linux/sched/loadavg.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include "bd.h"
#include "bd_builtin.h"

static uint census_ms = 100;
module_param(census_ms, uint, 0644);
MODULE_PARM_DESC(census_ms, "period of the process census (milliseconds, 10 to 10000, default 100)");

#define SHARE	19	/* parts of rest to one part of work */
#define TAKERS	2
#define OVERDUE	2	/* of census_ms late, and the other takes over */

static struct task_struct *takers[TAKERS];	/* on even CPUs, on odd CPUs */
static long taker;	/* whose turn it is */
static u64 overdue_ns;	/* when it is the other's */
static u64 last_took;	/* ns */
static struct bd_sensor *nprocs, *maxrate, *nthreads, *zombies, *runqueue,
			*loadavg, *cost, *stall;

/*
 * Pages of an mm, once: what the kernel's own OOM killer ranks by. Several
 * processes may share one mm (vfork, CLONE_VM); its owner answers for it.
 */
static u64 mm_pages(struct mm_struct *mm, pid_t tgid)
{
#ifdef CONFIG_MEMCG
	struct task_struct *owner = rcu_dereference(mm->owner);

	if (owner && owner->tgid != tgid)
		return 0;
#endif
	return get_mm_rss(mm) + get_mm_counter(mm, MM_SWAPENTS) +
	       mm_pgtables_bytes(mm) / PAGE_SIZE;
}

/* Return: false if this thread has no mm, because it exits. */
static bool footprint(struct task_struct *t, u64 *pages)
{
	bool has;

	task_lock(t);
	has = t->mm;
	if (has)
		*pages = mm_pages(t->mm, t->tgid);
	task_unlock(t);
	return has;
}

static void count_thread(struct task_struct *t, struct bd_census *c)
{
	c->threads++;
	if (READ_ONCE(t->__state) == TASK_RUNNING)
		c->runnable++;
#ifdef CONFIG_PSI
	if (t->in_memstall)
		c->stalled++;
#endif
}

static void count_process(struct task_struct *leader, struct bd_census *c)
{
	struct signal_struct *sig = leader->signal;
	u64 before = c->threads, pages = 0;
	struct task_struct *t;
	bool sized = false;

	if (!atomic_read(&sig->live)) {
		c->zombies++;
		return;
	}
	c->procs++;
	__for_each_thread(sig, t) {
		count_thread(t, c);
		if (!sized)
			sized = footprint(t, &pages);
	}
	bd_uids_count(from_kuid(&init_user_ns, __task_cred(leader)->uid),
		      c->threads - before, pages);
}

/*
 * Return: false if another has taken over meanwhile: it counts into the same
 * table, in which the process at hand may then be one too many, once.
 */
static bool walk(struct bd_census *c, long me)
{
	struct task_struct *p;
	bool mine = true;

	rcu_read_lock();
	for_each_process(p) {
		mine = READ_ONCE(taker) == me;
		if (!mine)
			break;
		if (!(p->flags & PF_KTHREAD))
			count_process(p, c);
	}
	rcu_read_unlock();
	return mine;
}

static bool census(u64 now_ns, long me)
{
	struct bd_census c = {};
	u64 busiest;

	bd_uids_begin();
	if (!walk(&c, me))
		return false;
	busiest = bd_uids_publish(now_ns);
	bd_set_sensor_value(nprocs, c.procs);
	bd_set_sensor_value(nthreads, c.threads);
	bd_set_sensor_value(zombies, c.zombies);
	bd_set_sensor_value(runqueue, c.runnable);
	if (stall)
		bd_set_sensor_value(stall, c.stalled);
	if (maxrate)
		bd_set_sensor_value(maxrate, busiest);
	bd_set_sensor_value(loadavg, avenrun[0] * 100 >> FSHIFT);
	return true;
}

static u64 period_ns(void)
{
	return clamp(census_ms, 10u, 10000u) * NSEC_PER_MSEC;
}

/* Return: ns to rest */
static u64 take(long me)
{
	u64 start = ktime_get_ns(), period = period_ns(), took;

	if (!census(start, me))
		return period;
	bd_sensor_mem_sample(start);
	bd_sensor_file_sample(start);
	bd_kdump_sample(start);
	bd_propose_report(start);
	took = ktime_get_ns() - start;
	bd_set_sensor_value(cost, took / NSEC_PER_USEC);
	period = max(period - min(took, period), SHARE * min(took, last_took));
	last_took = took;
	WRITE_ONCE(overdue_ns, start + took + period + OVERDUE * period_ns());
	return period;
}

/* Not by the timer wheel: that of 6.1 can stand still with the hung CPU. */
static void rest(u64 ns)
{
	ktime_t left = ns_to_ktime(ns);

	set_current_state(TASK_INTERRUPTIBLE);
	if (!kthread_should_stop())
		schedule_hrtimeout(&left, HRTIMER_MODE_REL);
	__set_current_state(TASK_RUNNING);
}

static int run(void *data)
{
	long me = (long)data;
	u64 pause;

	sched_set_fifo_low(current);
	while (!kthread_should_stop()) {
		pause = period_ns();
		if (ktime_get_ns() > READ_ONCE(overdue_ns))
			WRITE_ONCE(taker, me);
		if (READ_ONCE(taker) == me)
			pause = take(me);
		rest(pause);
	}
	return 0;
}

static struct bd_sensor *level(u32 id, u64 limit, const char *name,
			       const char *unit, const char *route)
{
	return bd_sensor_builtin(id, BD_LEVEL, limit, 0, name, unit, route);
}

static int sensors(void)
{
	u64 mib = totalram_pages() >> (20 - PAGE_SHIFT);

	nprocs = level(BD_ID_NPROCS, max(350ULL, mib / 2), "NPROCS", "procs",
		       "census: live user thread groups");
	nthreads = level(BD_ID_NTHREADS, max(2000ULL, mib * 4), "NTHREADS", "threads",
			 "census");
	zombies = level(BD_ID_ZOMBIES, 0, "ZOMBIES", "procs", "census");
	runqueue = level(BD_ID_RUNQUEUE, 64 * num_online_cpus(), "RUNQUEUE", "threads",
			 "census: runnable user threads");
	loadavg = level(BD_ID_LOADAVG, 0, "LOADAVG", "centi", "avenrun");
	cost = level(BD_ID_CENSUS_COST, 0, "CENSUS_COST", "us", "census");
	if (IS_ERR(nprocs) || IS_ERR(nthreads) || IS_ERR(zombies) ||
	    IS_ERR(runqueue) || IS_ERR(loadavg) || IS_ERR(cost))
		return -ENOSPC;
	if (bd_uids_forks_seen())
		maxrate = level(BD_ID_MAXPROCRATE, 1000, "MAXPROCRATE_PERUID", "forks/s",
				"tracepoint sched_process_fork");
#ifdef CONFIG_PSI
	stall = level(BD_ID_MEM_STALL, 16, "MEM_STALL", "threads",
		      "census: task_struct.in_memstall, the input of PSI");
#else
	bd_sensor_missing("MEM_STALL", "kernel without CONFIG_PSI");
#endif
	return IS_ERR(maxrate) || IS_ERR(stall) ? -ENOSPC : 0;
}

/* Where none of its CPUs is online yet, it may run on all. */
static int start(long me)
{
	struct task_struct *t;
	cpumask_var_t own;
	int cpu;

	if (!zalloc_cpumask_var(&own, GFP_KERNEL))
		return -ENOMEM;
	for_each_possible_cpu(cpu)
		if (cpu % TAKERS == me)
			cpumask_set_cpu(cpu, own);
	t = kthread_create(run, (void *)me, "bd_census/%ld", me);
	if (!IS_ERR(t)) {
		set_cpus_allowed_ptr(t, own);
		takers[me] = t;
		wake_up_process(t);
	}
	free_cpumask_var(own);
	return PTR_ERR_OR_ZERO(t);
}

int bd_census_init(void)
{
	int err = sensors();
	long me;

	overdue_ns = ktime_get_ns() + OVERDUE * period_ns();
	for (me = 0; me < TAKERS && !err; me++)
		err = start(me);
	if (err)
		bd_census_exit();
	return err;
}

void bd_census_exit(void)
{
	long me;

	for (me = 0; me < TAKERS; me++)
		if (takers[me])
			kthread_stop(takers[me]);
}
