// SPDX-License-Identifier: GPL-2.0
/*
 * rdma_softirq.c - a device in software answers from softirqs. While ksoftirqd
 * is runnable they are left to it, and as a fair task it then waits behind every
 * process of a fork bomb: reads stalled for seconds. So ksoftirqd of the CPU
 * that serves the NIC is real-time as long as such a device is there.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/kernel.h>
#include <linux/moduleparam.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/string.h>
#include <uapi/linux/sched/types.h>
#include "bdr.h"

static bool softirq_fifo = true;
module_param(softirq_fifo, bool, 0444);
MODULE_PARM_DESC(softirq_fifo, "for RDMA in software: softirqs of nic_cpu run real-time (bool, default 1)");

static struct task_struct *raised;

/* The per-CPU pointer to it is not exported. */
static struct task_struct *ksoftirqd_of(uint cpu)
{
	struct task_struct *p, *found = NULL;
	char name[TASK_COMM_LEN];

	snprintf(name, sizeof(name), "ksoftirqd/%u", cpu);
	rcu_read_lock();
	for_each_process(p) {
		if (p->flags & PF_KTHREAD && !strcmp(p->comm, name)) {
			get_task_struct(p);
			found = p;
			break;
		}
	}
	rcu_read_unlock();
	return found;
}

/** bdr_softirq_raise() - the first device in software has come; under bdr_lock */
void bdr_softirq_raise(void)
{
	struct task_struct *p;

	if (!softirq_fifo)
		return;
	p = ksoftirqd_of(bd_nic_cpu);
	if (!p || p->policy != SCHED_NORMAL) {	/* the operator's own choice stays */
		pr_info("softirqs of CPU %u are left as they are\n", bd_nic_cpu);
		if (p)
			put_task_struct(p);
		return;
	}
	sched_set_fifo(p);
	raised = p;
}

/** bdr_softirq_restore() - the last one has gone; under bdr_lock */
void bdr_softirq_restore(void)
{
	if (!raised)
		return;
	sched_set_normal(raised, 0);
	put_task_struct(raised);
	raised = NULL;
}
