// SPDX-License-Identifier: GPL-2.0
/*
 * bd_kdump.c - will this kernel leave a panic stamp? With a crash kernel loaded
 * and crash_kexec_post_notifiers off, panic() jumps to that kernel before any
 * notifier runs: no stamp, and the memory is another kernel's to overwrite.
 *
 * All of that changes while this module is loaded, so the manifest follows it.
 * The notifiers' switch has no exported symbol; it is read from sysfs, as its
 * owner would.
 */
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/kexec.h>
#include <linux/panic.h>
#include "bd.h"

#define POST_NOTIFIERS	"/sys/module/kernel/parameters/crash_kexec_post_notifiers"
#define PERIOD_NS	NSEC_PER_SEC

static struct file *post_notifiers;
static u64 last_ns;

/* "Y\n" or "N\n"; Return: 0, 1 or an error */
static int read_post_notifiers(void)
{
	loff_t pos = 0;
	char c;

	if (kernel_read(post_notifiers, &c, 1, &pos) != 1)
		return -EIO;
	return c == 'Y';
}

static int publish(void)
{
	int on = post_notifiers ? read_post_notifiers() : -ENOENT;
	int err = bd_manifest_set("crash_kernel_loaded", !!kexec_crash_loaded());

	/* s64: 0 stays, n reboots after n seconds, below 0 at once */
	err = err ?: bd_manifest_set("panic_timeout", (s64)panic_timeout);
	if (on >= 0)	/* not known: no entry */
		err = err ?: bd_manifest_set("crash_kexec_post_notifiers", on);
	return err;
}

/**
 * bd_kdump_sample() - once a second; the census thread calls it
 * @now_ns: monotonic
 */
void bd_kdump_sample(u64 now_ns)
{
	if (now_ns - last_ns < PERIOD_NS)
		return;
	last_ns = now_ns;
	publish();
}

int bd_kdump_init(void)
{
	int err;

	last_ns = 0;
	post_notifiers = filp_open(POST_NOTIFIERS, O_RDONLY, 0);
	if (IS_ERR(post_notifiers))
		post_notifiers = NULL;	/* no sysfs */
	err = publish();
	if (err)
		bd_kdump_exit();
	return err;
}

void bd_kdump_exit(void)
{
	if (post_notifiers)
		filp_close(post_notifiers, NULL);
	post_notifiers = NULL;
}
