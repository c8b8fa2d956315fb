// SPDX-License-Identifier: GPL-2.0
/*
 * bd_poll.c - one hard timer per CPU: the eyes of the module.
 *
 * nic_cpu looks each millisecond, the others each 10 ms, staggered: enough
 * that any live CPU serves a monitor, cheap enough to be always on. The timer
 * interrupt is also where a CPU is held, for there the interrupted registers
 * are known (a function-call IPI does not record them).
 */
#include <linux/cpuhotplug.h>
#include <linux/delay.h>
#include <linux/hrtimer.h>
#include <linux/irqflags.h>
#include <linux/percpu.h>
#include <linux/smp.h>
#include "bd.h"
#include "bd_compat.h"

#define FAST_NS		NSEC_PER_MSEC
#define SLOW_NS		(10 * NSEC_PER_MSEC)
#define BUSY_NS		(200 * NSEC_PER_USEC)

struct bd_eye {
	struct hrtimer timer;
	call_single_data_t kick;
	bool on;	/* its CPU is online; changed on that CPU only */
	bool looks;	/* in its interrupt; likewise */
};

static DEFINE_PER_CPU(struct bd_eye, eyes);
static enum cpuhp_state hotplug;
/* One scanner at a time; a hard interrupt never waits for it. */
static atomic_t scanner = ATOMIC_INIT(-1);

static void scan(int cpu)
{
	int nobody = -1;

	if (!atomic_try_cmpxchg_acquire(&scanner, &nobody, cpu))
		return;
	bd_owner_scan();
	bd_lock_scan(cpu);
	bd_kill_scan();
	bd_knob_scan();
	bd_propose_scan(cpu);
	atomic_set_release(&scanner, -1);
}

/** bd_poll_scans() - is this CPU serving requests just now */
bool bd_poll_scans(int cpu)
{
	return atomic_read(&scanner) == cpu;
}

/* A freeze is under way: it may hold this CPU here. */
static void frozen(int cpu)
{
	bool polled = bd_calls_come();

	if (bd_freeze_mine(cpu))
		while (bd_freeze_mine(cpu) && bd_freeze_lead(cpu))
			scan(cpu);
	else
		bd_freeze_follow(cpu);
	bd_calls_poll(polled);
}

static enum hrtimer_restart look(struct hrtimer *timer)
{
	struct bd_eye *eye = container_of(timer, struct bd_eye, timer);
	int cpu = smp_processor_id();
	u64 period = cpu == bd_nic_cpu ? FAST_NS : SLOW_NS;

	eye->looks = true;
	bd_tick(cpu);
	if (bd_freeze_scans(cpu))
		scan(cpu);
	if (!bd_freeze_idle()) {
		frozen(cpu);
		if (!bd_freeze_idle())
			period = BUSY_NS;
	}
	eye->looks = false;
	hrtimer_forward_now(timer, ns_to_ktime(period));
	return HRTIMER_RESTART;
}

static void kicked(void *unused)
{
	struct bd_eye *eye = this_cpu_ptr(&eyes);

	/* a kick may still be on its way to a CPU that leaves, or that is held already */
	if (READ_ONCE(eye->on) && !eye->looks)
		hrtimer_start(&eye->timer, 0, HRTIMER_MODE_REL_PINNED_HARD);
}

/**
 * bd_poll_soon() - make a CPU look as soon as it takes an interrupt
 * @cpu: not this one
 *
 * A CPU that has interrupts disabled takes the queued call when it enables
 * them, and is held then if the freeze still stands.
 */
void bd_poll_soon(int cpu)
{
	smp_call_function_single_async(cpu, &per_cpu(eyes, cpu).kick);
}

/* A CPU that comes under a freeze is held before it may run its first task. */
static int eye_online(unsigned int cpu)
{
	struct bd_eye *eye = this_cpu_ptr(&eyes);
	unsigned long flags;
	u64 first;

	local_irq_save(flags);	/* a kick comes before this or after */
	first = bd_freeze_idle() ? FAST_NS + cpu * FAST_NS % SLOW_NS : 0;
	WRITE_ONCE(eye->on, true);
	hrtimer_start(&eye->timer, ns_to_ktime(first), HRTIMER_MODE_REL_PINNED_HARD);
	local_irq_restore(flags);
	bd_cpu_online(cpu);
	return 0;
}

/* Shuts the eye unless a freeze is under way. */
static bool eye_shut(struct bd_eye *eye)
{
	unsigned long flags;
	bool idle;

	local_irq_save(flags);	/* no freeze begins on this CPU meanwhile */
	idle = bd_freeze_idle();
	if (idle) {
		WRITE_ONCE(eye->on, false);
		hrtimer_cancel(&eye->timer);
	}
	local_irq_restore(flags);
	return idle;
}

/*
 * The leader of a freeze must not leave: until the lease ended nobody would
 * read a request. The others neither, while they can be held like any CPU. So
 * who wants to leave waits for the end, and his timer holds him meanwhile.
 */
static int eye_offline(unsigned int cpu)
{
	struct bd_eye *eye = this_cpu_ptr(&eyes);

	bd_cpu_offline(cpu);
	while (!eye_shut(eye))
		usleep_range(500, 1000);
	return 0;
}

int bd_poll_init(void)
{
	int cpu, state;

	if (bd_nic_cpu >= nr_cpu_ids || !cpu_online(bd_nic_cpu)) {
		pr_err("nic_cpu=%u: no such CPU is online\n", bd_nic_cpu);
		return -EINVAL;
	}
	for_each_possible_cpu(cpu) {
		struct bd_eye *eye = &per_cpu(eyes, cpu);

		bd_timer_init(&eye->timer, look);
		INIT_CSD(&eye->kick, kicked, NULL);
	}
	state = cpuhp_setup_state(CPUHP_AP_ONLINE_DYN, "backdoor:poll",
				  eye_online, eye_offline);
	if (state < 0)
		return state;
	hotplug = state;
	return 0;
}

void bd_poll_exit(void)
{
	cpuhp_remove_state(hotplug);	/* every eye is off, its timer cancelled */
	kick_all_cpus_sync();		/* kicks that were queued have run */
}
