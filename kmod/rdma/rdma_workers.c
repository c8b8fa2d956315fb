// SPDX-License-Identifier: GPL-2.0
/*
 * rdma_workers.c - the kernel's workers do the connection manager's work, and
 * from Linux 6.4 on they answer for a device in software. As fair tasks they
 * wait behind every process of a fork bomb on their CPU. So those that can run
 * on the NIC's CPU are real-time as long as such a device is there. Workers come
 * and go, so a thread looks after them, on that CPU, which the lock leaves running.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/err.h>
#include <linux/kernel.h>
#include <linux/kthread.h>
#include <linux/moduleparam.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/string.h>
#include "bdr.h"

#define EVERY	(HZ / 10)

static bool workers_fifo = true;
module_param(workers_fifo, bool, 0444);
MODULE_PARM_DESC(workers_fifo, "for RDMA in software: workers that run on nic_cpu are real-time (bool, default 1)");

static struct task_struct *keeper;

/** bdr_worker_unbound() - is this worker of no CPU's own pool */
bool bdr_worker_unbound(const struct task_struct *p)
{
	return !strncmp(p->comm, "kworker/u", strlen("kworker/u"));
}

static bool serves_nic(const struct task_struct *p)
{
	char bound[TASK_COMM_LEN];

	if (!(p->flags & PF_WQ_WORKER) || !cpumask_test_cpu(bd_nic_cpu, p->cpus_ptr))
		return false;
	snprintf(bound, sizeof(bound), "kworker/%u:", bd_nic_cpu);
	return !strncmp(p->comm, bound, strlen(bound)) || bdr_worker_unbound(p);
}

/* Of ordinary ones only: those of other priorities are somebody's choice. */
static bool raises(const struct task_struct *p)
{
	return p->policy == SCHED_NORMAL && !task_nice(p) && serves_nic(p);
}

static bool lowers(const struct task_struct *p)
{
	return p->policy == SCHED_FIFO && p->rt_priority == 1 && serves_nic(p);
}

/**
 * bdr_tasks_find() - some tasks that are to change; none is changed inside RCU
 * @found: room for BDR_AT_ONCE, each to be put back
 * @wanted: which
 */
int bdr_tasks_find(struct task_struct **found, bool (*wanted)(const struct task_struct *))
{
	struct task_struct *p;
	int n = 0;

	rcu_read_lock();
	for_each_process(p) {
		if (n == BDR_AT_ONCE)
			break;
		if (wanted(p)) {
			get_task_struct(p);
			found[n++] = p;
		}
	}
	rcu_read_unlock();
	return n;
}

static void raise_all(void)
{
	struct task_struct *found[BDR_AT_ONCE];
	int n = bdr_tasks_find(found, raises);

	while (n-- > 0) {
		sched_set_fifo_low(found[n]);
		put_task_struct(found[n]);
	}
}

static void lower_all(void)
{
	struct task_struct *found[BDR_AT_ONCE];
	int n;

	while ((n = bdr_tasks_find(found, lowers)) > 0) {
		while (n-- > 0) {
			sched_set_normal(found[n], 0);
			put_task_struct(found[n]);
		}
	}
}

/* Those that are let go may serve the NIC no more, so their class goes back first. */
static void let_go(void)
{
	lower_all();
	bdr_pin_none();
}

static void look(void)
{
	if (READ_ONCE(bd_pin_workers))
		bdr_pin_all();
	else if (bdr_pin_any())
		let_go();
	if (workers_fifo)
		raise_all();
}

static int keep(void *unused)
{
	while (!kthread_should_stop()) {
		look();
		schedule_timeout_interruptible(EVERY);
	}
	return 0;
}

/** bdr_workers_raise() - the first device in software has come; under bdr_lock */
void bdr_workers_raise(void)
{
	keeper = kthread_create(keep, NULL, "backdoor/workers");
	if (IS_ERR(keeper)) {
		pr_warn("workers are left as they are: error %ld\n", PTR_ERR(keeper));
		keeper = NULL;
		return;
	}
	kthread_bind(keeper, bd_nic_cpu);
	sched_set_fifo_low(keeper);
	wake_up_process(keeper);
}

/** bdr_workers_restore() - the last one has gone; under bdr_lock */
void bdr_workers_restore(void)
{
	if (!keeper)
		return;
	kthread_stop(keeper);
	keeper = NULL;
	let_go();
}
