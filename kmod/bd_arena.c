// SPDX-License-Identifier: GPL-2.0
/*
 * bd_arena.c - the memory of continuation boxes. It is ordinary pages that are
 * made when somebody touches them, charged to his cgroup, and that stay where
 * they are: not on any list of the kernel's, so neither swapped nor migrated.
 *
 * A futex in shared memory is known by its page's mapping and index. All pages
 * here have the mapping of one inode of our own and the number of their slot in
 * the arena: the same for every process, whatever node it opened, and for no
 * other page.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/bitmap.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/mount.h>
#include <linux/pagemap.h>
#include <linux/pseudo_fs.h>
#include "bd.h"
#include "bd_arena.h"

static uint boxes_mib = 32;
module_param(boxes_mib, uint, 0444);
MODULE_PARM_DESC(boxes_mib, "bound of all continuation boxes together (MiB, at most 512, default 32, 0: none)");

#define FS_MAGIC	0x42444258	/* "BDBX" */
#define MIB_MAX		512	/* then the directory has 3 MiB, which lie together */
#define MIB_PAGES	((1 << 20) / PAGE_SIZE)
/* The smallest boxes are about as large; a default one has 12. */
#define ENTRY_PAGES	8

static struct bd_boxes *arena;
static struct bd_region *region;
static size_t region_len;
static u64 *map;
static unsigned long *taken;	/* slots; under bd_box_lock */
static u32 rover;
static struct vfsmount *mount;
static struct inode *inode;

static_assert(sizeof(struct bd_boxes) == 64);
static_assert(sizeof(struct bd_box) == 128);

/** bd_arena() - the head of the region, or NULL if there are no boxes here */
struct bd_boxes *bd_arena(void)
{
	return arena;
}

/** bd_arena_entry() - an entry of the directory */
struct bd_box *bd_arena_entry(u32 i)
{
	return (struct bd_box *)(arena + 1) + i;
}

/**
 * bd_arena_take() - reserve slots; no page is made
 * @pages: how many, at least one
 * @first: the first of them
 */
int bd_arena_take(u32 pages, u32 *first)
{
	unsigned long at;

	at = bitmap_find_next_zero_area(taken, arena->slots, rover, pages, 0);
	if (at >= arena->slots)
		at = bitmap_find_next_zero_area(taken, arena->slots, 0, pages, 0);
	if (at >= arena->slots)
		return -ENOSPC;
	bitmap_set(taken, at, pages);
	rover = at + pages;
	*first = at;
	return 0;
}

/* Whoever else has the page for a moment may be the last to let go of it. */
static void drop(u32 slot)
{
	void *va = (void *)(uintptr_t)map[slot];

	if (!va)
		return;
	WRITE_ONCE(map[slot], 0);
	virt_to_page(va)->mapping = NULL;
	put_page(virt_to_page(va));
	WRITE_ONCE(arena->touched, arena->touched - 1);
}

/**
 * bd_arena_give() - free slots that nobody has mapped any more
 * @first: from bd_arena_take()
 * @pages: the same number
 */
void bd_arena_give(u32 first, u32 pages)
{
	u32 i;

	for (i = 0; i < pages; i++)
		drop(first + i);
	bitmap_clear(taken, first, pages);
}

static struct page *make_page(u32 slot)
{
	struct page *page = alloc_page(GFP_KERNEL_ACCOUNT | __GFP_ZERO);

	if (page) {
		page->mapping = inode->i_mapping;
		page->index = slot;
	}
	return page;
}

/**
 * bd_arena_page() - the page of a slot, made if need be
 * @slot: one that is taken
 *
 * Returns NULL if there is no memory, or none left for the caller's cgroup.
 */
struct page *bd_arena_page(u32 slot)
{
	u64 va = smp_load_acquire(&map[slot]);	/* the page that it names, whole */
	struct page *page;

	if (va)
		return virt_to_page((void *)(uintptr_t)va);
	page = make_page(slot);
	if (!page)
		return NULL;
	mutex_lock(&bd_box_lock);
	va = map[slot];
	if (!va) {
		/* after its zeros: others look without the lock, monitors always */
		smp_store_release(&map[slot], (u64)(uintptr_t)page_address(page));
		WRITE_ONCE(arena->touched, arena->touched + 1);
	}
	mutex_unlock(&bd_box_lock);
	if (!va)
		return page;
	page->mapping = NULL;	/* another thread was quicker */
	put_page(page);
	return virt_to_page((void *)(uintptr_t)va);
}

static int fs_context(struct fs_context *fc)
{
	return init_pseudo(fc, FS_MAGIC) ? 0 : -ENOMEM;
}

/* No owner: the mount is ours and goes before us, it must not keep us. */
static struct file_system_type fs = {
	.name = "backdoor",
	.init_fs_context = fs_context,
	.kill_sb = kill_anon_super,
};

static int make_inode(void)
{
	mount = kern_mount(&fs);
	if (IS_ERR(mount))
		return PTR_ERR(mount);
	inode = alloc_anon_inode(mount->mnt_sb);
	if (!IS_ERR(inode))
		return 0;
	kern_unmount(mount);
	return PTR_ERR(inode);
}

static void fill_head(u32 slots, u32 capacity)
{
	arena->entry_size = sizeof(struct bd_box);
	arena->capacity = capacity;
	arena->slots = slots;
	arena->map_off = (u8 *)map - (u8 *)arena;
	memcpy(arena->boot_id, bd_boot_id, sizeof(arena->boot_id));
	smp_store_release(&arena->magic, BD_BOXES_MAGIC);	/* the region can be read already */
}

static int make_region(u32 slots)
{
	u32 capacity = slots / ENTRY_PAGES;

	region_len = sizeof(*arena) + capacity * sizeof(struct bd_box) + slots * sizeof(*map);
	arena = bd_area_new("boxes", BD_KIND_BOXES, BD_PERM_READ, region_len, &region);
	if (!arena)
		return -ENOMEM;
	map = (u64 *)bd_arena_entry(capacity);
	fill_head(slots, capacity);
	return 0;
}

int bd_arena_init(void)
{
	u32 slots = min_t(u32, boxes_mib, MIB_MAX) * MIB_PAGES;
	int err;

	if (!slots)
		return 0;
	taken = bitmap_zalloc(slots, GFP_KERNEL);
	if (!taken)
		return -ENOMEM;
	err = make_inode();
	if (err)
		goto err_bitmap;
	err = make_region(slots);
	if (err)
		goto err_inode;
	return 0;

err_inode:
	iput(inode);
	kern_unmount(mount);
err_bitmap:
	bitmap_free(taken);
	return err;
}

/* A file keeps the module, so there is no box any more. */
void bd_arena_exit(void)
{
	if (!arena)
		return;
	bd_area_free(arena, region_len, region);
	iput(inode);
	kern_unmount(mount);
	bitmap_free(taken);
}
