// SPDX-License-Identifier: GPL-2.0
/*
 * bd_freeze.c - stopping every CPU, and letting go again.
 *
 * A CPU stops inside its own poller interrupt (or NMI) and spins there. The
 * one that accepted the request leads: it goes on reading requests and runs
 * the kill slots. EVERY held CPU checks the lease itself, so the machine thaws
 * whatever happens to the leader or the monitor. A fence has no lease.
 */
#include <linux/nmi.h>
#include <linux/percpu.h>
#include <linux/preempt.h>
#include <linux/sched.h>
#include <linux/ktime.h>
#include <asm/apic.h>
#include <asm/irq_regs.h>
#include <asm/nmi.h>
#include <asm/ptrace.h>
#include "bd.h"

/* How long CPUs may take to answer before NMI is used. */
#define NMI_AFTER_NS	(50 * NSEC_PER_MSEC)

static struct bd_stop stop;
static u32 active;		/* round of the freeze; 0: none */
static u32 rounds;
static int leader = -1;
static u64 begun_ns;
static cpumask_t nmi_wanted;
static atomic_t nmi_holding = ATOMIC_INIT(0);
static DEFINE_PER_CPU(u32, held_round);

/** bd_freeze_idle() - is no freeze under way */
bool bd_freeze_idle(void)
{
	return !READ_ONCE(active);
}

/** bd_freeze_mine() - does this CPU lead the freeze */
bool bd_freeze_mine(int cpu)
{
	return READ_ONCE(leader) == cpu;
}

/** bd_freeze_stands() - is this round of the freeze still on */
bool bd_freeze_stands(u32 round)
{
	return READ_ONCE(active) == round;
}

/**
 * bd_nmi_held() - is a CPU held by NMI, or about to be (it may hold any lock)
 *
 * An NMI on its way counts: its CPU may take a lock before it takes the NMI.
 * One that has not come when all waiting is over comes from a dead CPU.
 */
bool bd_nmi_held(void)
{
	return atomic_read(&nmi_holding) > 0 ||
	       (!bd_freeze_idle() && !cpumask_empty(&nmi_wanted) &&
		ktime_get_mono_fast_ns() < READ_ONCE(stop.stop_end_ns));
}

static u8 where_irq(void)
{
	struct pt_regs *regs = get_irq_regs();

	if (regs && user_mode(regs))
		return BD_CPU_USER;
	/* a softirq on top of the idle task is no idle CPU */
	return is_idle_task(current) && !softirq_count() ? BD_CPU_IDLE : BD_CPU_KERNEL;
}

static u8 where_nmi(struct pt_regs *regs)
{
	if (user_mode(regs))
		return BD_CPU_NMI_USER;
	return regs->flags & X86_EFLAGS_IF ? BD_CPU_NMI_KERNEL : BD_CPU_NMI_IRQOFF;
}

static void note(int cpu, u8 where)
{
	struct bd_lock_cpu *c = &bd_lock_ack()->cpu[cpu];

	if (cpu >= BD_MAX_CPUS)
		return;
	c->drained = where == BD_CPU_USER || where == BD_CPU_IDLE ||
		     where == BD_CPU_NMI_USER;
	c->epoch_lo = stop.epoch;
	smp_wmb();	/* the rest of the record before what announces it */
	WRITE_ONCE(c->where, where);
}

/** bd_freeze_spares() - does the freeze under way leave the NIC's CPU running */
bool bd_freeze_spares(void)
{
	return READ_ONCE(stop.flags) & BD_LOCK_SPARE;
}

static bool spared(int cpu)
{
	return bd_freeze_spares() && cpu == bd_nic_cpu;
}

/* May this CPU still be held? Called by each held CPU, again and again. */
static bool hold_on(u32 round)
{
	if (READ_ONCE(active) != round)
		return false;
	if (READ_ONCE(stop.fence))
		return !spared(smp_processor_id());
	if (ktime_get_mono_fast_ns() < READ_ONCE(stop.lease_end_ns))
		return true;
	return !bd_lock_expired(round);
}

/* A CPU held by NMI can answer nobody: what it was doing may be half done. */
static void turn_nmi(void)
{
	cpu_relax();
}

/*
 * A held CPU answers the calls of a spared one: that waits for them without
 * leaving its CPU (the patching of code for a static key did), and then nobody
 * serves the NIC until the lease ends.
 */
static void turn_irq(void)
{
	if (bd_freeze_spares())
		bd_calls_answer();
	cpu_relax();
}

static void spin(int cpu, u32 round, void (*turn)(void))
{
	this_cpu_write(held_round, round);
	while (hold_on(round)) {
		touch_nmi_watchdog();	/* both: soft and hard */
		turn();
	}
	this_cpu_write(held_round, 0);
	note(cpu, BD_CPU_RUNNING);
}

/*
 * Inside the kernel a CPU may hold locks: let it run on, until drain_end. Under a
 * fence nobody needs them, unless a CPU is spared.
 */
static bool must_drain(u8 where)
{
	return where == BD_CPU_KERNEL && (!stop.fence || stop.flags & BD_LOCK_SPARE) &&
	       (stop.flags & BD_LOCK_DRAIN) &&
	       ktime_get_mono_fast_ns() < stop.drain_end_ns;
}

static bool answered(int cpu)
{
	return per_cpu(held_round, cpu) == active;
}

static bool others_held(int me)
{
	int cpu;

	for_each_online_cpu(cpu)
		if (cpu != me && !answered(cpu))
			return ktime_get_mono_fast_ns() > READ_ONCE(stop.stop_end_ns);
	return true;
}

/*
 * A fence that spares this CPU wants it to be silent: what the others run may come here
 * until they are held. Where a process runs all the same that is no longer so.
 */
static void hush(int cpu, u8 where)
{
	bool said = READ_ONCE(bd_lock_ack()->cpu[cpu].where) == BD_CPU_SILENT;

	if (!READ_ONCE(stop.fence))
		return;
	if (bd_silence_broken(where))
		where = BD_CPU_RUNNING;
	else if (!said && others_held(cpu) &&
		 bd_silence_seen(cpu, ktime_get_mono_fast_ns() < READ_ONCE(stop.drain_end_ns)))
		where = BD_CPU_SILENT;
	else
		return;
	if (said == (where == BD_CPU_RUNNING))
		note(cpu, where);
}

/**
 * bd_freeze_follow() - hold this CPU if the freeze wants it
 * @cpu: this one, in its poller interrupt
 */
void bd_freeze_follow(int cpu)
{
	u32 round = smp_load_acquire(&active);	/* before any word of stop */
	u8 where = where_irq();

	if (round && spared(cpu))
		hush(cpu, where);
	if (!round || spared(cpu) || must_drain(where))
		return;
	note(cpu, where);
	spin(cpu, round, turn_irq);
}

static int nmi_hold(unsigned int cmd, struct pt_regs *regs)
{
	int cpu = smp_processor_id();
	u32 round = READ_ONCE(active);

	if (!cpumask_test_cpu(cpu, &nmi_wanted))
		return NMI_DONE;
	/* one that serves monitors holds our own locks; its timer holds it soon */
	if (round && this_cpu_read(held_round) != round && !bd_poll_scans(cpu)) {
		atomic_inc(&nmi_holding);
		note(cpu, where_nmi(regs));
		spin(cpu, round, turn_nmi);
		atomic_dec(&nmi_holding);
	}
	cpumask_clear_cpu(cpu, &nmi_wanted);
	return NMI_HANDLED;
}

static void nmi_send(int cpu)
{
	cpumask_set_cpu(cpu, &nmi_wanted);
	apic->send_IPI_mask(cpumask_of(cpu), NMI_VECTOR);
}

/* Chase CPUs that do not answer; true when all that can be held are. */
static bool gathered(int me)
{
	u64 now = ktime_get_mono_fast_ns();
	bool all = true, nmi = stop.fence || (stop.flags & BD_LOCK_NMI);
	int cpu;

	for_each_online_cpu(cpu) {
		if (cpu == me || answered(cpu) || spared(cpu))
			continue;
		all = false;
		if (nmi && now > max(begun_ns + NMI_AFTER_NS, stop.drain_end_ns) &&
		    !cpumask_test_cpu(cpu, &nmi_wanted))
			nmi_send(cpu);
	}
	return all || now > stop.stop_end_ns;
}

/**
 * bd_freeze_begin() - start stopping CPUs; the caller leads
 * @me: this CPU
 * @how: lease, flags and bounds
 */
void bd_freeze_begin(int me, const struct bd_stop *how)
{
	int cpu;

	stop = *how;
	begun_ns = ktime_get_mono_fast_ns();
	leader = me;
	cpumask_clear(&nmi_wanted);
	for (cpu = 0; cpu < min_t(int, nr_cpu_ids, BD_MAX_CPUS); cpu++)
		bd_lock_ack()->cpu[cpu].where =
			cpu_online(cpu) ? BD_CPU_RUNNING : BD_CPU_OFFLINE;
	if (!++rounds)
		rounds = 1;
	smp_store_release(&active, rounds);	/* after all words of stop */
	for_each_online_cpu(cpu)
		if (cpu != me)
			bd_poll_soon(cpu);
}

/** bd_freeze_renew() - move the end of the lease */
void bd_freeze_renew(u64 lease_end_ns)
{
	WRITE_ONCE(stop.lease_end_ns, lease_end_ns);
}

/**
 * bd_freeze_fence() - a freeze under way becomes a fence: nothing is waited for
 * @flags: BD_LOCK_*, of the fence; CPUs that are held already stay so
 */
void bd_freeze_fence(u32 flags)
{
	u64 now = ktime_get_mono_fast_ns();

	WRITE_ONCE(stop.drain_end_ns, now);
	WRITE_ONCE(stop.stop_end_ns, now + BD_STOP_NS);
	WRITE_ONCE(stop.flags, flags);
	WRITE_ONCE(stop.fence, true);
}

/* A leader that a fence spares: it looks again soon, and does not stay. */
static bool leads_free(int cpu)
{
	return READ_ONCE(stop.fence) && spared(cpu);
}

/** bd_freeze_end() - let every CPU go */
void bd_freeze_end(void)
{
	WRITE_ONCE(leader, -1);
	smp_store_release(&active, 0);	/* after all else is told */
}

/**
 * bd_freeze_scans() - may this CPU read requests, outside of a hold
 * @cpu: this one
 *
 * The leader does where it is held. One that a fence spares is not held.
 */
bool bd_freeze_scans(int cpu)
{
	return bd_freeze_idle() || (bd_freeze_mine(cpu) && leads_free(cpu));
}

/**
 * bd_freeze_lead() - one turn of the leader's spin
 * @cpu: this one, in its poller interrupt
 *
 * Returns true while this CPU must go on spinning: the caller scans requests
 * between the turns. False: the freeze is over, or this CPU has to leave the
 * kernel code it interrupted first (it comes back soon), or is spared.
 */
bool bd_freeze_lead(int cpu)
{
	u32 round = READ_ONCE(active);
	u8 where = where_irq();

	if (!round)
		return false;
	if (leads_free(cpu)) {
		this_cpu_write(held_round, 0);	/* it may have been, under a lock */
		hush(cpu, where);
		if (gathered(cpu))
			bd_lock_granted();
		return false;
	}
	if (this_cpu_read(held_round) != round) {
		if (must_drain(where))
			return false;
		note(cpu, where);
		this_cpu_write(held_round, round);
	}
	if (!hold_on(round)) {
		this_cpu_write(held_round, 0);
		note(cpu, BD_CPU_RUNNING);
		return false;
	}
	if (gathered(cpu))
		bd_lock_granted();
	touch_nmi_watchdog();	/* both: soft and hard */
	turn_irq();
	return true;
}

int bd_freeze_init(void)
{
	return register_nmi_handler(NMI_LOCAL, nmi_hold, 0, "backdoor");
}

void bd_freeze_exit(void)
{
	unregister_nmi_handler(NMI_LOCAL, "backdoor");
}
