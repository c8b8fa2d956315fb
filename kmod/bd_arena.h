/* SPDX-License-Identifier: GPL-2.0 */
/*
 * bd_arena.h - continuation boxes among themselves: bd_arena.c has the memory,
 * bd_box.c the directory, bd_boxmap.c who has a box mapped.
 */
#ifndef BD_ARENA_H
#define BD_ARENA_H

#include <linux/mm_types.h>
#include "uapi/bd_box.h"

struct bd_user;
struct sock;

/* One address space that has the box mapped; only ever compared. */
struct bd_mapper {
	struct mm_struct *mm;
	u32 vmas;
};

/* The box of an open file. */
struct bd_file_box {
	struct bd_box *entry;
	u32 first, pages;	/* what the entry says, but nobody else writes it */
	u32 uid;
	struct sock *sk;
	struct bd_mapper mapper[BD_BOX_PROCS];
};

/* bd_arena.c */
int bd_arena_init(void);
void bd_arena_exit(void);
struct bd_boxes *bd_arena(void);
struct bd_box *bd_arena_entry(u32 i);
int bd_arena_take(u32 pages, u32 *first);
void bd_arena_give(u32 first, u32 pages);
struct page *bd_arena_page(u32 slot);

/* bd_box.c */
extern struct mutex bd_box_lock;
int bd_box_init(void);
void bd_box_exit(void);
long bd_box_ioctl(struct bd_user *user, unsigned int cmd, void __user *arg);
void bd_box_close(struct bd_user *user);

/* bd_boxmap.c */
int bd_box_mmap(struct bd_user *user, struct vm_area_struct *vma);

#endif
