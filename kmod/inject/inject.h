/* SPDX-License-Identifier: GPL-2.0 */
/* inject.h - the faults of bd_inject.ko among themselves */
#ifndef BD_INJECT_H
#define BD_INJECT_H

#include <linux/cpumask.h>
#include <linux/types.h>

#define FAULT_WORD	32

/* A fault on its way; each CPU gets a copy. ms 0: for ever. */
struct fault {
	void (*run)(struct fault *f);
	char word[FAULT_WORD];	/* device, kernel thread, field */
	u64 number;
	u32 cpu;
	u32 ms;
	u64 end_ns;
};

int inject_on(const struct cpumask *cpus, const struct fault *fault);
bool inject_over(const struct fault *fault);

/* inject_cpu.c */
void inject_spin(struct fault *f);
void inject_halt(struct fault *f);
void inject_mask_apic(struct fault *f);
void inject_stop_timers(struct fault *f);

/* inject_irq.c */
void inject_lose_irq(struct fault *f);
void inject_crash_irq(struct fault *f);
void inject_softirq_storm(struct fault *f);

/* inject_kernel.c */
void inject_deadlock(struct fault *f);
void inject_debugger(struct fault *f);
void inject_panic(struct fault *f);
void inject_slow(struct fault *f);

/* inject_net.c */
void inject_mute(struct fault *f);

/* inject_box.c */
int inject_corrupt(u32 id, const char *field, u64 value);

/* inject_region.c */
int inject_region(const char *what);

#endif
