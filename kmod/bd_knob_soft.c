// SPDX-License-Identifier: GPL-2.0
/*
 * bd_knob_soft.c - what a soft knob does, in a kthread. Sysctls are written
 * through their files, so their own checks apply.
 */
#include <linux/cred.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/kernel.h>
#include <linux/pid_namespace.h>
#include <linux/reboot.h>
#include <linux/resource.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/uidgid.h>
#include "bd.h"

static int sysctl_read(struct file *f, s64 *value)
{
	char text[24] = "";
	loff_t pos = 0;
	ssize_t n = kernel_read(f, text, sizeof(text) - 1, &pos);

	if (n < 0)
		return n;
	return kstrtos64(strim(text), 10, value);
}

static int sysctl_write(const char *path, s64 value, s64 *before)
{
	char text[24];
	struct file *f;
	loff_t pos = 0;
	ssize_t n;

	f = filp_open(path, O_RDWR, 0);
	if (IS_ERR(f))
		f = filp_open(path, O_WRONLY, 0);
	if (IS_ERR(f))
		return PTR_ERR(f);
	if (f->f_mode & FMODE_READ)
		sysctl_read(f, before);
	n = snprintf(text, sizeof(text), "%lld\n", value);
	n = kernel_write(f, text, n, &pos);
	filp_close(f, NULL);
	return n < 0 ? n : 0;
}

/* Sets the limit of each process of a uid: a limit is inherited, not looked up. */
static int uid_nproc(u32 uid, s64 value, s64 *before)
{
	struct task_struct *p;
	int hits = 0;

	rcu_read_lock();
	for_each_process(p) {
		struct rlimit *limit = &p->signal->rlim[RLIMIT_NPROC];

		if ((p->flags & PF_KTHREAD) ||
		    from_kuid(&init_user_ns, task_uid(p)) != uid)
			continue;
		task_lock(p);
		if (!hits++)
			*before = limit->rlim_cur;
		limit->rlim_max = min_t(u64, limit->rlim_max, value);
		limit->rlim_cur = min_t(u64, limit->rlim_max, value);
		task_unlock(p);
	}
	rcu_read_unlock();
	return hits ? 0 : -ESRCH;
}

static struct task_struct *find(const struct bd_knob_slot *s)
{
	struct task_struct *p;
	struct pid *pid;

	rcu_read_lock();
	pid = find_pid_ns(s->arg, &init_pid_ns);
	p = pid ? pid_task(pid, PIDTYPE_TGID) : NULL;
	if (p && (p->start_time != s->start_time || (p->flags & PF_KTHREAD)))
		p = NULL;
	if (p)
		get_task_struct(p);
	rcu_read_unlock();
	return p;
}

static bool has_class(const struct task_struct *t, const struct bd_knob_slot *s)
{
	if (s->knob == BD_KNOB_SCHED_FIFO)
		return t->policy == SCHED_FIFO && t->rt_priority == 1;
	return task_nice(t) == s->value &&
	       (s->knob == BD_KNOB_NICE || t->policy == SCHED_NORMAL);
}

static void set_class(struct task_struct *t, const struct bd_knob_slot *s)
{
	if (s->knob == BD_KNOB_NICE)
		set_user_nice(t, s->value);
	else if (s->knob == BD_KNOB_SCHED_NORMAL)
		sched_set_normal(t, s->value);
	else
		sched_set_fifo_low(t);
}

#define BATCH	32
#define ROUNDS	1024

/* Some threads that have not the class yet, each with a reference. */
static int others(struct task_struct *p, const struct bd_knob_slot *s,
		  struct task_struct *some[BATCH])
{
	struct task_struct *t;
	int n = 0;

	rcu_read_lock();
	for_each_thread(p, t) {
		if (n == BATCH)
			break;
		if (!has_class(t, s)) {
			get_task_struct(t);
			some[n++] = t;
		}
	}
	rcu_read_unlock();
	return n;
}

/* All threads, also those that are made meanwhile; setting a class may sleep. */
static int schedule_class(const struct bd_knob_slot *s, s64 *before)
{
	struct task_struct *some[BATCH], *p = find(s);
	int round, n = 1;

	if (!p)
		return -ESRCH;
	*before = task_nice(p);
	for (round = 0; n && round < ROUNDS; round++) {
		int i;

		n = others(p, s, some);
		for (i = 0; i < n; i++) {
			set_class(some[i], s);
			put_task_struct(some[i]);
		}
	}
	put_task_struct(p);
	return n ? -EAGAIN : 0;
}

/**
 * bd_knob_apply() - turn a soft knob
 * @s: checked and bounded
 * @before: value before, where there is one
 *
 * Returns 0 or a negative errno.
 */
int bd_knob_apply(const struct bd_knob_slot *s, s64 *before)
{
	switch (s->knob) {
	case BD_KNOB_OVERCOMMIT_MEMORY:
		return sysctl_write("/proc/sys/vm/overcommit_memory", s->value, before);
	case BD_KNOB_THREADS_MAX:
		return sysctl_write("/proc/sys/kernel/threads-max", s->value, before);
	case BD_KNOB_PID_MAX:
		return sysctl_write("/proc/sys/kernel/pid_max", s->value, before);
	case BD_KNOB_DROP_CACHES:
		return sysctl_write("/proc/sys/vm/drop_caches", s->value, before);
	case BD_KNOB_SWAPPINESS:
		return sysctl_write("/proc/sys/vm/swappiness", s->value, before);
	case BD_KNOB_UID_NPROC:
		return uid_nproc(s->arg, s->value, before);
	case BD_KNOB_NICE:
	case BD_KNOB_SCHED_NORMAL:
	case BD_KNOB_SCHED_FIFO:
		return schedule_class(s, before);
	case BD_KNOB_POWEROFF:
		orderly_poweroff(s->value);
		return 0;
	case BD_KNOB_REBOOT:
		orderly_reboot();
		return 0;
	}
	return -EINVAL;
}
