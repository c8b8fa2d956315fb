// SPDX-License-Identifier: GPL-2.0
/*
 * inject_region.c - a region table that changes while monitors are connected.
 * No fault by itself: what a carrier makes of it is what is tried.
 */
#include <linux/err.h>
#include <linux/module.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/string.h>
#include "bd.h"
#include "inject.h"

static void *area;
static struct bd_region *region;
static DEFINE_MUTEX(lock);

/* backdoor.ko is held as long as the region is there. */
static int add(void)
{
	void *(*new_area)(const char *, u32, u32, size_t, struct bd_region **);

	if (area)
		return 0;
	new_area = symbol_get(bd_area_new);
	if (!new_area)
		return -ENODEV;
	area = new_area("lab", BD_KIND_DEVICE, BD_PERM_READ, PAGE_SIZE, &region);
	if (!area) {
		symbol_put(bd_area_new);
		return -ENOMEM;
	}
	memset(area, 0x5a, PAGE_SIZE);
	return 0;
}

static int del(void)
{
	void (*free_area)(void *, size_t, struct bd_region *);

	if (!area)
		return 0;
	free_area = symbol_get(bd_area_free);
	if (!free_area)
		return -ENODEV;
	free_area(area, PAGE_SIZE, region);
	area = NULL;
	symbol_put(bd_area_free);
	symbol_put(bd_area_new);
	return 0;
}

/**
 * inject_region() - add or withdraw the region "lab"
 * @what: "add" or "del"; either again does nothing
 */
int inject_region(const char *what)
{
	int err = -EINVAL;

	mutex_lock(&lock);
	if (!strcmp(what, "add"))
		err = add();
	else if (!strcmp(what, "del"))
		err = del();
	mutex_unlock(&lock);
	return err;
}
