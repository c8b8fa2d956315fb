// SPDX-License-Identifier: GPL-2.0
/*
 * bd_limits.c - L is the target's contract, and its operator writes it:
 * limits=NPROCS:400,TICKS:120000 at load, or the same into
 * /sys/module/backdoor/parameters/limits at any time.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/kernel.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/string.h>
#include "bd.h"
#include "bd_builtin.h"

#define LIMITS_LEN	512

static char limits[LIMITS_LEN];
static bool live;
static DEFINE_MUTEX(limits_lock);

/* One NAME:VALUE, which can name a sensor only once they exist. */
static int apply_one(char *entry, bool set)
{
	char *value = strchr(entry, ':');
	u64 limit;

	if (!value || value == entry || value - entry >= BD_SENSOR_NAME)
		return -EINVAL;
	*value++ = 0;
	if (kstrtou64(value, 0, &limit))
		return -EINVAL;
	if (!live || bd_sensor_limit(entry, strlen(entry), set ? &limit : NULL))
		return 0;
	pr_err("limits: no sensor is called %s\n", entry);
	return -ENOENT;
}

static int apply(const char *list, bool set)
{
	char copy[LIMITS_LEN], *rest = copy, *entry;
	int err = 0;

	if (strscpy(copy, list, sizeof(copy)) < 0)
		return -E2BIG;
	strim(copy);
	while (!err && (entry = strsep(&rest, ",")))
		if (*entry)
			err = apply_one(entry, set);
	return err;
}

/* All of a list or nothing of it. */
static int apply_all(const char *list)
{
	return apply(list, false) ?: apply(list, true);
}

static int limits_set(const char *val, const struct kernel_param *kp)
{
	int err;

	mutex_lock(&limits_lock);
	err = apply_all(val);
	if (!err)
		strscpy(limits, val, sizeof(limits));
	mutex_unlock(&limits_lock);
	return err;
}

static int limits_get(char *buffer, const struct kernel_param *kp)
{
	int n;

	mutex_lock(&limits_lock);
	n = sysfs_emit(buffer, "%s\n", strim(limits));
	mutex_unlock(&limits_lock);
	return n;
}

static const struct kernel_param_ops limits_ops = {
	.set = limits_set,
	.get = limits_get,
};

module_param_cb(limits, &limits_ops, NULL, 0644);
MODULE_PARM_DESC(limits, "L of sensors by name (NAME:VALUE,... in the sensor's unit, microseconds for progress; 0: no threshold; default: see README)");

int bd_limits_init(void)
{
	int err;

	mutex_lock(&limits_lock);
	live = true;
	err = apply_all(limits);
	if (err)
		live = false;
	mutex_unlock(&limits_lock);
	return err;
}

void bd_limits_exit(void)
{
	mutex_lock(&limits_lock);
	live = false;
	mutex_unlock(&limits_lock);
}
