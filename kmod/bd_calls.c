// SPDX-License-Identifier: GPL-2.0
/*
 * bd_calls.c - a CPU that is held in its poller interrupt answers function
 * calls of other CPUs (smp_call_function and its kin), and nothing else.
 *
 * The task priority of the local APIC shuts out every interrupt below the
 * kernel's own IPIs: devices and the timer. What is left runs in hard interrupt
 * context, so that neither softirqs nor the scheduler come after it.
 */
#include <linux/irqflags.h>
#include <linux/processor.h>
#include <linux/sched.h>
#include <linux/thread_info.h>
#include <asm/apic.h>
#include <asm/hypervisor.h>
#include <asm/irq_vectors.h>
#include "bd.h"

/* Task priority, CR8: interrupts of this class (vector / 16) and below wait. */
#define BELOW_IPIS	(LOCAL_TIMER_VECTOR >> 4)

static_assert(BELOW_IPIS < CALL_FUNCTION_SINGLE_VECTOR >> 4);

static unsigned long priority(void)
{
	unsigned long cr8;

	asm volatile("mov %%cr8, %0" : "=r" (cr8));
	return cr8;
}

static void set_priority(unsigned long cr8)
{
	asm volatile("mov %0, %%cr8" : : "r" (cr8) : "memory");
}

/* Xen and Hyper-V deliver timers and devices by a vector above. */
static bool timer_is_below(void)
{
	return hypervisor_is_type(X86_HYPER_NATIVE) || hypervisor_is_type(X86_HYPER_KVM);
}

/**
 * bd_calls_come() - from now on who calls this CPU interrupts it
 *
 * In its idle loop a CPU polls a flag, which spares callers the interrupt:
 * from below an interrupt handler it would never see that.
 * Returns what bd_calls_poll() wants to know.
 */
bool bd_calls_come(void)
{
	if (!test_thread_flag(TIF_POLLING_NRFLAG))
		return false;
	clear_thread_flag(TIF_POLLING_NRFLAG);
	smp_mb__after_atomic();	/* who reads the flag later interrupts, who read it before has set the next one */
	if (need_resched())
		apic->send_IPI_mask(cpumask_of(smp_processor_id()), CALL_FUNCTION_SINGLE_VECTOR);
	return true;
}

/** bd_calls_poll() - undoes bd_calls_come(), before the interrupt returns */
void bd_calls_poll(bool polled)
{
	if (polled)
		set_thread_flag(TIF_POLLING_NRFLAG);
}

/**
 * bd_calls_answer() - take the calls that wait for this CPU
 *
 * In hard interrupt context with interrupts disabled, not in NMI, between
 * bd_calls_come() and bd_calls_poll().
 */
void bd_calls_answer(void)
{
	unsigned long before;

	if (!timer_is_below())
		return;
	before = priority();
	set_priority(BELOW_IPIS);
	raw_local_irq_enable();	/* lockdep forbids it in an interrupt, for it could nest without end */
	cpu_relax();	/* the instruction after the one that enables is never interrupted */
	raw_local_irq_disable();
	set_priority(before);
}
