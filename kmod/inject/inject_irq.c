// SPDX-License-Identifier: GPL-2.0
/* inject_irq.c - interrupts that are lost, crash, or never end */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/delay.h>
#include <linux/interrupt.h>
#include <linux/irq.h>
#include <linux/irqdesc.h>
#include <linux/irq_work.h>
#include <linux/irqnr.h>
#include <linux/percpu.h>
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
	return -ENOENT;
}

void inject_lose_irq(struct fault *f)
{
	int irq = irq_of(f->word);

	if (irq < 0) {
		pr_err("lose_irq: no interrupt of %s\n", f->word);
		return;
	}
	disable_irq_nosync(irq);
	if (!f->ms)
		return;
	msleep(f->ms);
	enable_irq(irq);
}

static void crash(struct irq_work *work)
{
	WRITE_ONCE(*(int *)NULL, 1);
}

static struct irq_work crash_work = IRQ_WORK_INIT_HARD(crash);

void inject_crash_irq(struct fault *f)
{
	irq_work_queue(&crash_work);
	msleep(1000);	/* the work is in this module */
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
