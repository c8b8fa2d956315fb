// SPDX-License-Identifier: GPL-2.0
/*
 * bd_panic.c - the stamp a dying kernel leaves: cause, time, text. With kdump
 * the crash kernel runs before the notifiers and there is no stamp, unless
 * crash_kexec_post_notifiers is set.
 */
#include <linux/kdebug.h>
#include <linux/jiffies.h>
#include <linux/notifier.h>
#include <linux/panic_notifier.h>
#include <linux/smp.h>
#include <linux/string.h>
#include <linux/ktime.h>
#include "bd.h"

static struct bd_panic *stamp;
static struct bd_region *region;

static void leave(u32 cause, const char *text)
{
	stamp->cpu = raw_smp_processor_id();
	stamp->mono_ns = ktime_get_mono_fast_ns();
	stamp->jiffies = jiffies;
	strscpy(stamp->text, text ? text : "", sizeof(stamp->text));
	smp_wmb();	/* the rest before the cause that announces it */
	WRITE_ONCE(stamp->cause, cause);
}

static int on_panic(struct notifier_block *nb, unsigned long event, void *text)
{
	leave(BD_PANIC_PANIC, text);
	return NOTIFY_DONE;
}

static int on_die(struct notifier_block *nb, unsigned long event, void *data)
{
	struct die_args *args = data;

	if (event == DIE_OOPS && READ_ONCE(stamp->cause) == BD_PANIC_NONE)
		leave(BD_PANIC_OOPS, args->str);
	return NOTIFY_DONE;
}

static struct notifier_block panic_block = { .notifier_call = on_panic, .priority = INT_MAX };
static struct notifier_block die_block = { .notifier_call = on_die };

int bd_panic_init(void)
{
	int err;

	stamp = bd_pages_alloc(sizeof(*stamp));
	if (!stamp)
		return -ENOMEM;
	stamp->magic = BD_PANIC_MAGIC;
	err = bd_region_add("panic", BD_KIND_PANIC, BD_PERM_READ, stamp,
			    sizeof(*stamp), &region);
	if (err) {
		bd_pages_free(stamp, sizeof(*stamp));
		return err;
	}
	atomic_notifier_chain_register(&panic_notifier_list, &panic_block);
	register_die_notifier(&die_block);
	return 0;
}

void bd_panic_exit(void)
{
	unregister_die_notifier(&die_block);
	atomic_notifier_chain_unregister(&panic_notifier_list, &panic_block);
	bd_region_del(region);
	bd_pages_free(stamp, sizeof(*stamp));
}
