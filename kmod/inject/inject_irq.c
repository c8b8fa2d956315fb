// SPDX-License-Identifier: GPL-2.0
/* inject_irq.c - interrupts that are lost, crash, or never end */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/delay.h>
#include <linux/interrupt.h>
#include <linux/irq.h>
#include <linux/irqdesc.h>
#include <linux/irqnr.h>
#include <linux/module.h>
#include <linux/percpu.h>
#include <linux/spinlock.h>
#include "inject.h"

static int irq_of(const char *device)
{
	struct irq_data *data;
	struct irq_desc *desc;
	int irq;

	for (irq = 1; irq < nr_irqs; irq++) {
		data = irq_get_irq_data(irq);
		if (!data)
			continue;
		desc = irq_data_to_desc(data);
		if (desc->action && desc->action->name &&
		    !strcmp(desc->action->name, device))
			return irq;
	}
	pr_err("no interrupt of %s\n", device);
	return -ENOENT;
}

void inject_lose_irq(struct fault *f)
{
	int irq = irq_of(f->word);

	if (irq < 0)
		return;
	disable_irq_nosync(irq);
	if (!f->ms)
		return;
	msleep(f->ms);
	enable_irq(irq);
}

static irqreturn_t crash(int irq, void *device)
{
	WRITE_ONCE(*(int *)NULL, 1);
	return IRQ_NONE;
}

/* From the device's next interrupt on its handler is another. */
void inject_crash_irq(struct fault *f)
{
	int irq = irq_of(f->word);
	struct irq_desc *desc;
	unsigned long flags;

	if (irq < 0)
		return;
	__module_get(THIS_MODULE);	/* for good: the handler is in it */
	desc = irq_data_to_desc(irq_get_irq_data(irq));
	raw_spin_lock_irqsave(&desc->lock, flags);
	if (desc->action)
		WRITE_ONCE(desc->action->handler, crash);
	raw_spin_unlock_irqrestore(&desc->lock, flags);
}

/* One tasklet a CPU; it goes on as long as its fault does. */
struct storm {
	struct tasklet_struct tasklet;
	struct fault *fault;
};

static void storm_again(struct tasklet_struct *t)
{
	struct storm *s = from_tasklet(s, t, tasklet);

	if (!inject_over(s->fault))
		tasklet_hi_schedule(t);
}

void inject_softirq_storm(struct fault *f)
{
	struct storm s = { .fault = f };

	tasklet_setup(&s.tasklet, storm_again);
	tasklet_hi_schedule(&s.tasklet);
	do {
		msleep(100);
	} while (!inject_over(f));
	tasklet_kill(&s.tasklet);
}
