// SPDX-License-Identifier: GPL-2.0
/*
 * bd_heart.c - a kernel thread that does nothing but live: it proves that the
 * scheduler still gives a real-time thread the CPU, which a timer tick does
 * not. SCHED_FIFO, so that a fork bomb is not mistaken for a hang.
 */
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/kthread.h>
#include <linux/moduleparam.h>
#include <linux/sched.h>
#include "bd.h"
#include "bd_builtin.h"

static uint heartbeat_ms = 50;
module_param(heartbeat_ms, uint, 0644);
MODULE_PARM_DESC(heartbeat_ms, "period of the kernel thread's heartbeat (milliseconds, 1 to 250, default 50)");

static struct task_struct *heart;
static struct bd_sensor *beats;

/* By the timer wheel: a machine whose wheel stands still has no pulse. */
static void rest(long timeout)
{
	set_current_state(TASK_INTERRUPTIBLE);
	if (!kthread_should_stop())
		schedule_timeout(timeout);
	__set_current_state(TASK_RUNNING);
}

static int beat(void *unused)
{
	u64 n = 0;

	sched_set_fifo_low(current);
	while (!kthread_should_stop()) {
		bd_set_sensor_value(beats, ++n);
		rest(msecs_to_jiffies(clamp(heartbeat_ms, 1u, 250u)));
	}
	return 0;
}

int bd_heart_init(void)
{
	beats = bd_sensor_builtin(BD_ID_KTHREAD, BD_PROGRESS, USEC_PER_SEC,
				  BD_SENSOR_CLOCK, "KTHREAD", "beats",
				  "SCHED_FIFO kernel thread");
	if (IS_ERR(beats))
		return PTR_ERR(beats);
	heart = kthread_run(beat, NULL, "bd_heart");
	return PTR_ERR_OR_ZERO(heart);
}

void bd_heart_exit(void)
{
	kthread_stop(heart);
}
