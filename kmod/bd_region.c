// SPDX-License-Identifier: GPL-2.0
/*
 * bd_region.c - the table of what a monitor may touch.
 *
 * Each entry is written whole before the table's generation moves, so that a
 * remote reader who sees the new generation sees the entry too.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/export.h>
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/random.h>
#include "bd.h"

static struct bd_table *table;
static struct bd_region *table_region;
static DEFINE_MUTEX(table_lock);

static_assert(sizeof(struct bd_table) <= PAGE_SIZE);

/**
 * bd_pages_alloc() - zeroed, physically contiguous pages
 * @len: bytes, rounded up to a power of two pages
 */
void *bd_pages_alloc(size_t len)
{
	return (void *)__get_free_pages(GFP_KERNEL | __GFP_ZERO, get_order(len));
}
EXPORT_SYMBOL_GPL(bd_pages_alloc);

/**
 * bd_pages_free() - frees what bd_pages_alloc() gave
 * @va: address, or NULL
 * @len: the same length
 */
void bd_pages_free(void *va, size_t len)
{
	if (va)
		free_pages((unsigned long)va, get_order(len));
}
EXPORT_SYMBOL_GPL(bd_pages_free);

static struct bd_region *free_entry(void)
{
	u32 i;

	for (i = 0; i < BD_MAX_REGIONS; i++)
		if (!table->regions[i].kind)
			return &table->regions[i];
	return NULL;
}

static void table_changed(void)
{
	u32 i, count = 0;

	for (i = 0; i < BD_MAX_REGIONS; i++)
		if (table->regions[i].kind)
			count = i + 1;
	table->count = count;
	smp_wmb();	/* entries before the generation that announces them */
	WRITE_ONCE(table->generation, ++bd_generation);
	bd_backend_publish();
}

/**
 * bd_region_add_phys() - export a range of physical addresses
 * @name: at most BD_REGION_NAME - 1 bytes
 * @kind: enum bd_region_kind
 * @perm: BD_PERM_*
 * @addr: the address that remote operations name
 * @phys: guest physical address
 * @len: bytes
 * @flags: BD_REGION_*
 * @out: the entry, for bd_region_del(); may be NULL
 */
int bd_region_add_phys(const char *name, u32 kind, u32 perm, u64 addr,
		       u64 phys, u64 len, u32 flags, struct bd_region **out)
{
	struct bd_region *r;
	int err = -ENOSPC;

	mutex_lock(&table_lock);
	r = free_entry();
	if (!r)
		goto out;
	strscpy(r->name, name, sizeof(r->name));
	r->perm = perm;
	r->addr = addr;
	r->gpa = phys;
	r->len = len;
	r->flags = flags;
	r->key = get_random_u32();
	r->generation = bd_generation + 1;
	memcpy(r->boot_id, bd_boot_id, sizeof(r->boot_id));
	smp_wmb();	/* the body before the kind that makes it an entry */
	WRITE_ONCE(r->kind, kind);
	table_changed();
	if (out)
		*out = r;
	err = 0;
out:
	mutex_unlock(&table_lock);
	return err;
}

/**
 * bd_region_add() - export physically contiguous kernel memory
 * @name: at most BD_REGION_NAME - 1 bytes
 * @kind: enum bd_region_kind
 * @perm: BD_PERM_*
 * @va: in the direct map
 * @len: bytes
 * @out: the entry, for bd_region_del(); may be NULL
 */
int bd_region_add(const char *name, u32 kind, u32 perm, void *va, size_t len,
		  struct bd_region **out)
{
	return bd_region_add_phys(name, kind, perm, (u64)(uintptr_t)va,
				  virt_to_phys(va), len, 0, out);
}

/**
 * bd_region_del() - withdraw an entry
 * @region: from bd_region_add(), or NULL
 */
void bd_region_del(struct bd_region *region)
{
	if (!region)
		return;
	mutex_lock(&table_lock);
	WRITE_ONCE(region->kind, 0);
	table_changed();
	memset(region, 0, sizeof(*region));
	mutex_unlock(&table_lock);
}

/**
 * bd_area_new() - zeroed pages that are exported as a region of their own
 * @name: at most BD_REGION_NAME - 1 bytes
 * @kind: enum bd_region_kind
 * @perm: BD_PERM_*
 * @len: bytes
 * @out: the region, for bd_area_free()
 */
void *bd_area_new(const char *name, u32 kind, u32 perm, size_t len,
		  struct bd_region **out)
{
	void *va = bd_pages_alloc(len);

	if (va && bd_region_add(name, kind, perm, va, len, out)) {
		bd_pages_free(va, len);
		va = NULL;
	}
	return va;
}
EXPORT_SYMBOL_GPL(bd_area_new);

/**
 * bd_area_free() - withdraw and free what bd_area_new() gave
 * @va: the pages, or NULL
 * @len: the same length
 * @region: their region
 */
void bd_area_free(void *va, size_t len, struct bd_region *region)
{
	if (va)
		bd_region_del(region);
	bd_pages_free(va, len);
}
EXPORT_SYMBOL_GPL(bd_area_free);

/** bd_region_table() - the table, for the back ends */
struct bd_table *bd_region_table(void)
{
	return table;
}
EXPORT_SYMBOL_GPL(bd_region_table);

/**
 * bd_region_root() - fill a root record, magic and generation included
 * @root: filled
 */
void bd_region_root(struct bd_root *root)
{
	memset(root, 0, sizeof(*root));
	root->magic = BD_ROOT_MAGIC;
	root->major = BD_VERSION_MAJOR;
	root->minor = BD_VERSION_MINOR;
	root->size = sizeof(*root);
	memcpy(root->boot_id, bd_boot_id, sizeof(root->boot_id));
	root->generation = bd_generation;
	root->table_addr = table_region->addr;
	root->table_gpa = table_region->gpa;
	root->table_len = sizeof(*table);
	root->table_key = table_region->key;
}
EXPORT_SYMBOL_GPL(bd_region_root);

int bd_region_init(void)
{
	int err;

	table = bd_pages_alloc(sizeof(*table));
	if (!table)
		return -ENOMEM;
	table->magic = BD_TABLE_MAGIC;
	table->entry_size = sizeof(struct bd_region);
	memcpy(table->boot_id, bd_boot_id, sizeof(table->boot_id));
	err = bd_region_add("table", BD_KIND_TABLE, BD_PERM_READ, table,
			    sizeof(*table), &table_region);
	if (!err)
		err = bd_memory_export();
	if (err)
		bd_region_exit();
	return err;
}

void bd_region_exit(void)
{
	bd_pages_free(table, sizeof(*table));
	table = NULL;
}
