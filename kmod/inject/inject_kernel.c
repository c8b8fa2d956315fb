// SPDX-License-Identifier: GPL-2.0
/* inject_kernel.c - deadlock, debugger, panic, a kernel thread made slow */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/delay.h>
#include <linux/kernel.h>
#include <linux/kgdb.h>
#include <linux/rtnetlink.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/spinlock.h>
#include "inject.h"

static DEFINE_SPINLOCK(taken_twice);

static void deadlock_spin(void)
{
	/* sparse and lockdep are right: this never returns */
	raw_spin_lock_irq(&taken_twice.rlock);
	raw_spin_lock(&taken_twice.rlock);
	raw_spin_unlock(&taken_twice.rlock);
	raw_spin_unlock_irq(&taken_twice.rlock);
}

static void deadlock_rtnl(struct fault *f)
{
	rtnl_lock();
	do {
		msleep(f->ms ? min(f->ms, 100u) : 1000);
	} while (!inject_over(f));
	rtnl_unlock();
}

void inject_deadlock(struct fault *f)
{
	if (!strcmp(f->word, "spin"))
		deadlock_spin();
	else if (!strcmp(f->word, "rtnl"))
		deadlock_rtnl(f);
	else
		pr_err("deadlock: rtnl or spin, not %s\n", f->word);
}

void inject_debugger(struct fault *f)
{
#ifdef CONFIG_KGDB
	kgdb_breakpoint();
#endif
}

void inject_panic(struct fault *f)
{
	panic("bd_inject: panic was asked for");
}

static struct task_struct *kthread_named(const char *comm)
{
	struct task_struct *p, *found = NULL;

	rcu_read_lock();
	for_each_process(p)
		if (p->flags & PF_KTHREAD && !strcmp(p->comm, comm)) {
			found = p;
			get_task_struct(p);
			break;
		}
	rcu_read_unlock();
	return found;
}

/* FIFO work above the victim leaves it one millisecond in a hundred. */
static void crowd(struct fault *f)
{
	u64 burst;

	do {
		burst = ktime_get_mono_fast_ns() + 99 * NSEC_PER_MSEC;
		while (ktime_get_mono_fast_ns() < burst)
			cpu_relax();
		usleep_range(1000, 1100);
	} while (!inject_over(f));
}

static int crowd_out(struct task_struct *victim, struct fault *f)
{
	const struct cpumask *here;
	int err;

	if (f->number >= nr_cpu_ids || !cpu_online(f->number))
		return -EINVAL;
	here = cpumask_of(f->number);
	err = set_cpus_allowed_ptr(victim, here) ?: set_cpus_allowed_ptr(current, here);
	if (!err)
		crowd(f);
	return err;
}

void inject_slow(struct fault *f)
{
	struct task_struct *victim = kthread_named(f->word);
	cpumask_var_t before;
	int err;

	if (!victim) {
		pr_err("slow: no kernel thread is called %s\n", f->word);
		return;
	}
	if (!alloc_cpumask_var(&before, GFP_KERNEL))
		goto out;
	cpumask_copy(before, victim->cpus_ptr);
	err = crowd_out(victim, f);
	if (err)
		pr_err("slow: %s cannot be moved: error %d\n", f->word, err);
	set_cpus_allowed_ptr(victim, before);
	free_cpumask_var(before);
out:
	put_task_struct(victim);
}
