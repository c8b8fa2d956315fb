// SPDX-License-Identifier: GPL-2.0
/*
 * bd_vector.c - makes an interrupt go where it was told to at once. Without
 * interrupt remapping (most VMs) a vector is moved by the handler of its next
 * interrupt, on the CPU that it leaves; until then the kernel keeps the wish
 * (irq_move_pending). A queue of the NIC that had nothing to say since then struck
 * at a CPU that the OS lock holds, where nobody moves or hears it: a monitor that
 * connected anew was not answered before the lock's lease ended. So whoever sets
 * smp_affinity writes the number here too, and the vector strikes once for nothing.
 */
#include <linux/delay.h>
#include <linux/interrupt.h>
#include <linux/irq.h>
#include <linux/jiffies.h>
#include <linux/moduleparam.h>
#include <linux/rcupdate.h>
#include "bd.h"

/*
 * Nothing strikes through a vector that has no handler or is switched off, so it
 * need not move. Descriptors are freed after a grace period.
 */
static bool move_pending(unsigned int irq)
{
	struct irq_data *d;
	bool pending;

	rcu_read_lock();
	d = irq_get_irq_data(irq);
	pending = d && irq_has_action(irq) && !irqd_irq_disabled(d) && irqd_is_setaffinity_pending(d);
	rcu_read_unlock();
	return pending;
}

static int strike(unsigned int irq)
{
#ifdef CONFIG_GENERIC_IRQ_INJECTION
	return irq_inject_interrupt(irq);
#else
	return -EOPNOTSUPP;
#endif
}

static int move_irq(const char *val, const struct kernel_param *kp)
{
	unsigned long end = jiffies + HZ;
	unsigned int irq;
	int err = kstrtouint(val, 0, &irq);

	if (err)
		return err;
	while (move_pending(irq)) {
		if (time_after(jiffies, end))
			return -EBUSY;
		err = strike(irq);
		if (err && err != -EBUSY)	/* EBUSY: it is about to */
			return err;
		usleep_range(500, 1000);
	}
	return 0;
}

static const struct kernel_param_ops move_irq_ops = { .set = move_irq };
module_param_cb(move_irq, &move_irq_ops, NULL, 0200);
MODULE_PARM_DESC(move_irq, "number of an interrupt that is to go where its smp_affinity says at once (write only)");
