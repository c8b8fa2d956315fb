// SPDX-License-Identifier: GPL-2.0
/*
 * bd_manifest.c - all that a reader must know about this kernel, so that it
 * guesses nothing. An extensible list; see struct bd_entry_head.
 */
#include <linux/crc32.h>
#include <linux/io.h>
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/pid_namespace.h>
#include <linux/sched/task.h>
#include <linux/smp.h>
#include <linux/string.h>
#include <linux/user_namespace.h>
#include <linux/utsname.h>
#include <asm/page.h>
#include <asm/pgtable.h>
#include <asm/processor.h>
#include "bd.h"
#include "bd_compat.h"

#define MANIFEST_LEN	SZ_32K

static struct bd_manifest *manifest;
static struct bd_region *region;
static DEFINE_MUTEX(manifest_lock);
static void *kernel_top;	/* top level of the kernel's page tables */

static void *next_entry(u32 tag, const char *name, u32 size)
{
	struct bd_entry_head *e = (void *)(manifest + 1) + manifest->len;

	if (sizeof(*manifest) + manifest->len + size > MANIFEST_LEN)
		return NULL;
	memset(e, 0, size);
	e->tag = tag;
	e->size = size;
	strscpy(e->name, name, sizeof(e->name));
	return e;
}

/*
 * What follows changes between begin_change and end_change by one store, so
 * that the entries are at every instant those of one of the two checksums: a
 * kernel may die between them, and the manifest must outlive it.
 */
static void begin_change(u32 crc)
{
	WRITE_ONCE(manifest->crc32_next, ~crc);
	smp_wmb();	/* the checksum before what it is of */
}

static void end_change(void)
{
	smp_wmb();	/* what changed before it is all there is */
	manifest->generation++;
	WRITE_ONCE(manifest->crc32, manifest->crc32_next);
}

static void entry_done(u32 size)
{
	begin_change(crc32_le(~0, (u8 *)(manifest + 1), manifest->len + size));
	manifest->count++;
	WRITE_ONCE(manifest->len, manifest->len + size);
	end_change();
}

static void change(struct bd_entry_value *e, u64 value)
{
	u8 *first = (u8 *)(manifest + 1), *rest = (u8 *)(e + 1);
	u32 crc = crc32_le(~0, first, (u8 *)&e->value - first);

	crc = crc32_le(crc, (u8 *)&value, sizeof(value));
	begin_change(crc32_le(crc, rest, first + manifest->len - rest));
	WRITE_ONCE(e->value, value);
	end_change();
}

/** bd_manifest_string() - add a text */
int bd_manifest_string(const char *name, const char *text)
{
	u32 len = strlen(text), size = ALIGN(sizeof(struct bd_entry_head) + len + 1, 8);
	struct bd_entry_head *e;

	mutex_lock(&manifest_lock);
	e = next_entry(BD_TAG_STRING, name, size);
	if (e) {
		memcpy(e + 1, text, len);
		entry_done(size);
	}
	mutex_unlock(&manifest_lock);
	return e ? 0 : -ENOSPC;
}

static int add_value(const char *name, u64 value)
{
	struct bd_entry_value *e = next_entry(BD_TAG_VALUE, name, sizeof(*e));

	if (!e)
		return -ENOSPC;
	e->value = value;
	entry_done(sizeof(*e));
	return 0;
}

/** bd_manifest_value() - add a number */
int bd_manifest_value(const char *name, u64 value)
{
	int err;

	mutex_lock(&manifest_lock);
	err = add_value(name, value);
	mutex_unlock(&manifest_lock);
	return err;
}

static struct bd_entry_value *find_value(const char *name)
{
	void *at = manifest + 1, *end = at + manifest->len;
	struct bd_entry_head *e;

	for (; at < end; at += e->size) {
		e = at;
		if (e->tag == BD_TAG_VALUE && !strcmp(e->name, name))
			return at;
	}
	return NULL;
}

/**
 * bd_manifest_set() - add a number, or change one that is there
 * @name: of the entry
 * @value: its number
 */
int bd_manifest_set(const char *name, u64 value)
{
	struct bd_entry_value *e;
	int err = 0;

	mutex_lock(&manifest_lock);
	e = find_value(name);
	if (!e)
		err = add_value(name, value);
	else if (e->value != value)
		change(e, value);
	mutex_unlock(&manifest_lock);
	return err;
}

/** bd_manifest_offset() - add the place of a member; bytes 0: offset is a sizeof */
int bd_manifest_offset(const char *name, u32 offset, u32 bytes)
{
	struct bd_entry_offset *e;

	mutex_lock(&manifest_lock);
	e = next_entry(BD_TAG_OFFSET, name, sizeof(*e));
	if (e) {
		e->offset = offset;
		e->bytes = bytes;
		entry_done(sizeof(*e));
	}
	mutex_unlock(&manifest_lock);
	return e ? 0 : -ENOSPC;
}

static int identity(void)
{
	char build_id[2 * 20 + 1];
	int err = bd_manifest_string("kernel_release", init_utsname()->release);

	bd_build_id(build_id);
	err = err ?: bd_manifest_string("build_id", build_id);
	err = err ?: bd_manifest_string("kernel_version", init_utsname()->version);
	err = err ?: bd_manifest_string("machine", init_utsname()->machine);
	return err ?: bd_manifest_string("node", init_utsname()->nodename);
}

/*
 * swapper_pg_dir is not exported, and the page tables of whoever loads the
 * module die with it. The kernel half of every top level is the same, and
 * complete since boot (preallocate_vmalloc_pages()): a copy of it stays right.
 */
static int copy_top(void)
{
	u8 *mine = __va(__native_read_cr3() & CR3_ADDR_MASK);

	kernel_top = bd_pages_alloc(PAGE_SIZE);
	if (!kernel_top)
		return -ENOMEM;
	memcpy(kernel_top + PAGE_SIZE / 2, mine + PAGE_SIZE / 2, PAGE_SIZE / 2);
	return bd_manifest_value("page_table_root", virt_to_phys(kernel_top));
}

static int address_space(void)
{
	int err = bd_manifest_value("page_offset_base", PAGE_OFFSET);

	err = err ?: bd_manifest_value("phys_base", phys_base);
	err = err ?: bd_manifest_value("vmemmap_base", (u64)vmemmap);
	err = err ?: bd_manifest_value("page_size", PAGE_SIZE);
	err = err ?: bd_manifest_value("sizeof_page", sizeof(struct page));
	err = err ?: bd_manifest_value("page_table_levels", pgtable_l5_enabled() ? 5 : 4);
	return err ?: copy_top();
}

static int anchors(void)
{
	int err = bd_manifest_value("init_task", (u64)&init_task);

	err = err ?: bd_manifest_value("init_task_phys", __pa_symbol(&init_task));
	err = err ?: bd_manifest_value("init_pid_ns", (u64)&init_pid_ns);
	err = err ?: bd_manifest_value("init_pid_ns_phys", __pa_symbol(&init_pid_ns));
	err = err ?: bd_manifest_value("init_user_ns", (u64)&init_user_ns);
	err = err ?: bd_manifest_value("jiffies", (u64)&jiffies);
	err = err ?: bd_manifest_value("hz", HZ);
	err = err ?: bd_manifest_value("tcp_clock_hz", 1000);
	err = err ?: bd_manifest_value("tcp_clock_may_be_usec", BD_TCP_USEC);
	err = err ?: bd_manifest_value("rss_stat_percpu", BD_RSS_PERCPU);
	err = err ?: bd_manifest_value("module", (u64)THIS_MODULE);
	return err ?: bd_manifest_value("ncpus", num_possible_cpus());
}

int bd_manifest_init(void)
{
	int err;

	manifest = bd_pages_alloc(MANIFEST_LEN);
	if (!manifest)
		return -ENOMEM;
	manifest->magic = BD_MANIFEST_MAGIC;
	memcpy(manifest->boot_id, bd_boot_id, sizeof(manifest->boot_id));
	err = identity();
	err = err ?: address_space();
	err = err ?: anchors();
	err = err ?: bd_offsets_tasks();
	err = err ?: bd_offsets_net();
	err = err ?: bd_region_add("manifest", BD_KIND_MANIFEST, BD_PERM_READ,
				   manifest, MANIFEST_LEN, &region);
	if (err)
		bd_manifest_exit();
	return err;
}

void bd_manifest_exit(void)
{
	bd_region_del(region);
	bd_pages_free(kernel_top, PAGE_SIZE);
	bd_pages_free(manifest, MANIFEST_LEN);
}
