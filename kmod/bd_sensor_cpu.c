// SPDX-License-Identifier: GPL-2.0
/*
 * bd_sensor_cpu.c - what each CPU does: timer ticks (the clock of the failure
 * detector), scheduling decisions (Figure 3.7), interrupts (Figure 3.8).
 *
 * A tick and a switch are each one store into a cache line of that CPU alone.
 * Totals are summed on the polling CPU, at most once a jiffy.
 */
#include <linux/cpu.h>
#include <linux/err.h>
#include <linux/hardirq.h>
#include <linux/kernel_stat.h>
#include <linux/moduleparam.h>
#include <linux/percpu.h>
#include <linux/sched.h>
#include <linux/timekeeping.h>
#include "bd.h"
#include "bd_builtin.h"

static bool sched_switch = true;
module_param(sched_switch, bool, 0444);
MODULE_PARM_DESC(sched_switch, "count scheduling decisions with a probe on the tracepoint sched_switch (bool, default 1)");

#define STALL_US	(500 * USEC_PER_MSEC)
#define ACTIVITY_US	USEC_PER_SEC

/* NULL for a CPU that has not been seen yet, an error where the box is full. */
static DEFINE_PER_CPU(struct bd_sensor *, ticks);
static DEFINE_PER_CPU(struct bd_sensor *, switches);
static struct bd_sensor *all_switches, *all_interrupts, *device_interrupts;
static unsigned long last_sum;

/* A counter that only this CPU writes; one aligned store (section 3.4.1). */
static __always_inline void count_here(struct bd_sensor *s)
{
	if (!IS_ERR_OR_NULL(s))
		WRITE_ONCE(s->value, s->value + 1);
}

static void on_switch(void *data, bool preempt, struct task_struct *prev,
		      struct task_struct *next, unsigned int prev_state)
{
	count_here(__this_cpu_read(switches));
}

static struct bd_hook switch_hook = {
	.name = "sched_switch",
	.probe = on_switch,
};

static void set(struct bd_sensor *s, u64 value)
{
	if (!IS_ERR_OR_NULL(s))
		bd_set_sensor_value(s, value);
}

/* What a CPU did before it went offline stays in: no total goes backwards. */
static void sum(void)
{
	u64 device = 0, local = 0, switched = 0;
	struct bd_sensor *s;
	int cpu;

	for_each_possible_cpu(cpu) {
		device += kstat_cpu_irqs_sum(cpu);
		local += per_cpu(irq_stat, cpu).apic_timer_irqs;
		local += per_cpu(irq_stat, cpu).irq_resched_count;
		local += per_cpu(irq_stat, cpu).irq_call_count;
		s = per_cpu(switches, cpu);
		if (!IS_ERR_OR_NULL(s))
			switched += READ_ONCE(s->value);
	}
	set(device_interrupts, device);
	set(all_interrupts, device + local);
	set(all_switches, switched);
}

/**
 * bd_tick() - a CPU takes timer interrupts
 * @cpu: this one; hard interrupt context
 */
void bd_tick(int cpu)
{
	/* summing 256 CPUs each jiffy would cost; 16 a jiffy does not */
	unsigned long every = 1 + num_possible_cpus() / 16;

	count_here(per_cpu(ticks, cpu));
	if (cpu != bd_nic_cpu)
		return;
	/* not ktime_get(): it may wait for a CPU that we hold */
	WRITE_ONCE(bd_sbox()->mono_ns, ktime_get_mono_fast_ns());
	if (time_before(jiffies, last_sum + every))
		return;
	last_sum = jiffies;
	WRITE_ONCE(bd_sbox()->ncpus, num_online_cpus());
	sum();
}

/* A CPU that is added later has the contract of the one that looks most often. */
static u64 tick_limit(void)
{
	struct bd_sensor *s = per_cpu(ticks, bd_nic_cpu);

	return IS_ERR_OR_NULL(s) ? STALL_US : bd_sensor_contract(s);
}

static void cpu_sensors(int cpu)
{
	char name[BD_SENSOR_NAME];
	struct bd_sensor *s;

	snprintf(name, sizeof(name), "TICKS.%d", cpu);
	s = bd_sensor_builtin(BD_ID_TICKS + cpu, BD_PROGRESS, tick_limit(),
			      BD_SENSOR_CLOCK, name, "ticks", NULL);
	if (!IS_ERR(s))
		bd_sensor_rest(s, true);	/* until bd_cpu_online() */
	per_cpu(ticks, cpu) = s;
	if (!sched_switch)
		return;
	/* an idle CPU decides nothing: no threshold but the monitor's own */
	snprintf(name, sizeof(name), "CTXSW.%d", cpu);
	per_cpu(switches, cpu) = bd_sensor_builtin(BD_ID_CTXSW_CPU + cpu, BD_PROGRESS,
						   0, 0, name, "events", NULL);
}

/**
 * bd_cpu_offline() - a CPU that is taken out has not failed
 * @cpu: this one
 */
void bd_cpu_offline(int cpu)
{
	struct bd_sensor *s = per_cpu(ticks, cpu);

	if (!IS_ERR_OR_NULL(s))
		bd_sensor_rest(s, true);
}

/**
 * bd_cpu_online() - the contract stands, or stands again
 * @cpu: this one, which may not have been there when the module was loaded
 */
void bd_cpu_online(int cpu)
{
	if (!per_cpu(ticks, cpu) && cpu < BD_SENSOR_CPUS)
		cpu_sensors(cpu);
	if (!IS_ERR_OR_NULL(per_cpu(ticks, cpu)))
		bd_sensor_rest(per_cpu(ticks, cpu), false);
}

static int switch_init(void)
{
	int err = sched_switch ? bd_hook_attach(&switch_hook) : -EPERM;

	if (err) {
		bd_sensor_missing("CTXSW", sched_switch ?
				  "no tracepoint sched_switch" : "sched_switch=0");
		return 0;
	}
	all_switches = bd_sensor_builtin(BD_ID_CTXSW, BD_PROGRESS, ACTIVITY_US, 0,
					 "CTXSW", "events",
					 "tracepoint sched_switch, per CPU");
	return PTR_ERR_OR_ZERO(all_switches);
}

int bd_sensor_cpu_init(void)
{
	int cpu, err;

	err = switch_init();
	if (err)
		goto err_switch;
	all_interrupts = bd_sensor_builtin(BD_ID_INTERRUPTS, BD_PROGRESS,
					   ACTIVITY_US, 0, "INTERRUPTS", "events",
					   "kstat and irq_stat");
	device_interrupts = bd_sensor_builtin(BD_ID_DEV_INTERRUPTS, BD_PROGRESS, 0,
					      0, "DEV_INTERRUPTS", "events", "kstat");
	for_each_present_cpu(cpu) {
		if (cpu >= BD_SENSOR_CPUS) {
			bd_sensor_missing("TICKS", "CPUs from 96 on have no sensors");
			break;
		}
		cpu_sensors(cpu);
	}
	bd_manifest_string("sensor.TICKS", "hrtimer of the poller, per CPU");
	return 0;

err_switch:
	bd_hook_detach(&switch_hook);
	return err;
}

void bd_sensor_cpu_exit(void)
{
	bd_hook_detach(&switch_hook);
}
