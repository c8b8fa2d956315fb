// SPDX-License-Identifier: GPL-2.0
/* inject_cpu.c - a CPU that takes no interrupts, or no timer interrupts */
#include <linux/irqflags.h>
#include <linux/sched.h>
#include <asm/apic.h>
#include <asm/irq_vectors.h>
#include "inject.h"

void inject_spin(struct fault *f)
{
	local_irq_disable();
	while (!inject_over(f))
		cpu_relax();
	local_irq_enable();
}

void inject_halt(struct fault *f)
{
	local_irq_disable();
	for (;;)
		halt();	/* only an NMI gets it out, and it goes back */
}

/* The driver's functions are not exported to modules; its registers are inline. */
static void lapic_write(u32 reg, u32 value)
{
	if (x2apic_enabled())
		native_apic_msr_write(reg, value);
	else
		native_apic_mem_write(reg, value);
}

static u32 lapic_read(u32 reg)
{
	return x2apic_enabled() ? native_apic_msr_read(reg) : native_apic_mem_read(reg);
}

/* Busy, for no timer would wake a sleeper on this CPU. */
static void wait_over(struct fault *f)
{
	while (!inject_over(f)) {
		cpu_relax();
		cond_resched();
	}
}

/* The CPU goes on working but is offered nothing below an NMI. */
void inject_mask_apic(struct fault *f)
{
	lapic_write(APIC_TASKPRI, 0xff);
	if (!f->ms)
		return;
	wait_over(f);
	lapic_write(APIC_TASKPRI, 0x10);
}

void inject_stop_timers(struct fault *f)
{
	u32 lvt = lapic_read(APIC_LVTT);

	lapic_write(APIC_LVTT, lvt | APIC_LVT_MASKED);
	if (!f->ms)
		return;
	wait_over(f);
	lapic_write(APIC_LVTT, lvt);
	/* the event that was lost must be made up for: nothing else programs the next */
	if (x2apic_enabled())
		native_apic_msr_write(APIC_SELF_IPI, LOCAL_TIMER_VECTOR);
	else
		native_apic_mem_write(APIC_ICR, APIC_DEST_SELF | LOCAL_TIMER_VECTOR);
}
