/* SPDX-License-Identifier: GPL-2.0 */
/* bd_compat.h - the only place that knows kernel versions. */
#ifndef BD_COMPAT_H
#define BD_COMPAT_H

#include <linux/version.h>
#include <linux/hrtimer.h>
#include <linux/mm.h>

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 12, 0)
#include <linux/unaligned.h>
#else
#include <asm/unaligned.h>
#endif

/* hrtimer_setup() came with 6.13 and replaced hrtimer_init() in 6.15. */
static inline void bd_timer_init(struct hrtimer *timer,
				 enum hrtimer_restart (*fn)(struct hrtimer *))
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 13, 0)
	hrtimer_setup(timer, fn, CLOCK_MONOTONIC, HRTIMER_MODE_REL_PINNED_HARD);
#else
	hrtimer_init(timer, CLOCK_MONOTONIC, HRTIMER_MODE_REL_PINNED_HARD);
	timer->function = fn;
#endif
}

/* vma->vm_flags became read-only in 6.3. */
static inline void bd_vm_flags_mod(struct vm_area_struct *vma, vm_flags_t set,
				   vm_flags_t clear)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 3, 0)
	vm_flags_mod(vma, set, clear);
#else
	vma->vm_flags = (vma->vm_flags | set) & ~clear;
#endif
}

/* mm_struct.rss_stat became an array of percpu_counters in 6.2. */
#define BD_RSS_PERCPU	(LINUX_VERSION_CODE >= KERNEL_VERSION(6, 2, 0))

/* tcp_clock may count microseconds since 6.7 (tcp_sock.tcp_usec_ts). */
#define BD_TCP_USEC	(LINUX_VERSION_CODE >= KERNEL_VERSION(6, 7, 0))

#endif
