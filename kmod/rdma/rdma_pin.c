// SPDX-License-Identifier: GPL-2.0
/*
 * rdma_pin.c - who lets a monitor in must not be on a CPU that the repair lock
 * holds. bdagent tells interrupts where to go, and most workers. The others are
 * pinned here to the NIC's CPU, as long as it wants that (pin_workers of
 * backdoor.ko):
 *
 * - workers of ordered queues, which before Linux 6.9 keep to no mask that can be
 *   set; the connection manager's are ordered;
 * - workers just made: the scheduler gives them to a held CPU, for it looks idle;
 * - kthreadd: the last idle worker of a pool has it make another one before it
 *   does anything.
 *
 * Only the thread that looks after workers is in here, or who has stopped it.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/cpumask.h>
#include <linux/sched.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/string.h>
#include "bdr.h"

struct pinned {
	struct list_head list;
	struct task_struct *task;
	unsigned long before[];	/* where it might run */
};

static LIST_HEAD(pins);

/* A CPU's own workers stay with it, and so do those that rescue them. */
static bool roams(const struct task_struct *p)
{
	if (p->flags & PF_WQ_WORKER)
		return bdr_worker_unbound(p);
	return p->flags & PF_KTHREAD && !strcmp(p->comm, "kthreadd");
}

static bool is_pinned(const struct task_struct *p)
{
	return cpumask_equal(&p->cpus_mask, cpumask_of(bd_nic_cpu));
}

/* To move these is to wait for the CPU that they are on, and it may be held. */
static bool stuck(const struct task_struct *p)
{
	return p->cpus_ptr != &p->cpus_mask ||	/* it may not migrate now */
	       (task_cpu(p) != bd_nic_cpu &&
		(READ_ONCE(p->on_cpu) || READ_ONCE(p->__state) == TASK_WAKING));
}

static bool strays(const struct task_struct *p)
{
	return roams(p) && !is_pinned(p) && !stuck(p);
}

static struct pinned *pin_of(struct task_struct *p)
{
	struct pinned *e;

	list_for_each_entry(e, &pins, list)
		if (e->task == p)
			return e;
	e = kmalloc(sizeof(*e) + cpumask_size(), GFP_NOWAIT | __GFP_NOWARN);
	if (!e)
		return NULL;	/* at the next look */
	e->task = get_task_struct(p);
	list_add(&e->list, &pins);
	return e;
}

static void forget(struct pinned *e)
{
	list_del(&e->list);
	put_task_struct(e->task);
	kfree(e);
}

static void forget_dead(void)
{
	struct pinned *e, *next;

	list_for_each_entry_safe(e, next, &pins, list)
		if (READ_ONCE(e->task->exit_state))
			forget(e);
}

/** bdr_pin_all() - pin those that are not, as many as are found at once */
void bdr_pin_all(void)
{
	struct task_struct *found[BDR_AT_ONCE];
	int n = bdr_tasks_find(found, strays);

	while (n-- > 0) {
		struct pinned *e = pin_of(found[n]);

		if (e) {
			cpumask_copy(to_cpumask(e->before), &found[n]->cpus_mask);
			set_cpus_allowed_ptr(found[n], cpumask_of(bd_nic_cpu));
		}
		put_task_struct(found[n]);
	}
	forget_dead();
}

/** bdr_pin_none() - all may go where they might before */
void bdr_pin_none(void)
{
	struct pinned *e, *next;

	list_for_each_entry_safe(e, next, &pins, list) {
		if (is_pinned(e->task))	/* else somebody chose another place since */
			set_cpus_allowed_ptr(e->task, to_cpumask(e->before));
		forget(e);
	}
}

/** bdr_pin_any() - is anything pinned */
bool bdr_pin_any(void)
{
	return !list_empty(&pins);
}
