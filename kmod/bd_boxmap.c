// SPDX-License-Identifier: GPL-2.0
/*
 * bd_boxmap.c - a continuation box in address spaces: its pages come at faults,
 * and the directory says which processes have it.
 *
 * fork copies a mapping, as it does one of a memfd: a child of the server has the
 * session too. When vm_ops->open runs the child has no process yet, so its tgid
 * is noted when it first touches the box.
 */
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include "bd.h"
#include "bd_arena.h"
#include "bd_compat.h"
#include "bd_user.h"

static struct bd_file_box *box_of(const struct vm_area_struct *vma)
{
	return ((struct bd_user *)vma->vm_file->private_data)->box;
}

static int find(const struct bd_file_box *box, const struct mm_struct *mm)
{
	int i;

	for (i = 0; i < BD_BOX_PROCS; i++)
		if (READ_ONCE(box->mapper[i].mm) == mm)
			return i;
	return -1;
}

static void note(struct bd_file_box *box, int i, const struct mm_struct *mm)
{
	if (current->mm == mm)
		WRITE_ONCE(box->entry->procs[i], task_tgid_nr(current));
}

static void count(const struct vm_area_struct *vma)
{
	struct bd_file_box *box = box_of(vma);
	int i;

	mutex_lock(&bd_box_lock);
	i = find(box, vma->vm_mm);
	if (i < 0)
		i = find(box, NULL);
	if (i < 0) {
		WRITE_ONCE(box->entry->more, box->entry->more + 1);
	} else {
		WRITE_ONCE(box->mapper[i].mm, vma->vm_mm);
		box->mapper[i].vmas++;
		note(box, i, vma->vm_mm);
	}
	mutex_unlock(&bd_box_lock);
}

static void box_open(struct vm_area_struct *vma)
{
	count(vma);
}

static void box_close(struct vm_area_struct *vma)
{
	struct bd_file_box *box = box_of(vma);
	int i;

	mutex_lock(&bd_box_lock);
	i = find(box, vma->vm_mm);
	if (i < 0) {
		WRITE_ONCE(box->entry->more, box->entry->more - 1);
	} else if (!--box->mapper[i].vmas) {
		WRITE_ONCE(box->mapper[i].mm, NULL);
		WRITE_ONCE(box->entry->procs[i], 0);
	}
	mutex_unlock(&bd_box_lock);
}

/* The first touch of a child that fork made. */
static void touched(const struct vm_area_struct *vma)
{
	struct bd_file_box *box = box_of(vma);
	int i = find(box, vma->vm_mm);	/* who is looked for does not leave meanwhile */

	if (i < 0 || READ_ONCE(box->entry->procs[i]))
		return;
	mutex_lock(&bd_box_lock);
	note(box, i, vma->vm_mm);
	mutex_unlock(&bd_box_lock);
}

static vm_fault_t box_fault(struct vm_fault *vmf)
{
	struct page *page = bd_arena_page(vmf->pgoff - (BD_BOX_OFFSET >> PAGE_SHIFT));

	if (!page)
		return VM_FAULT_OOM;
	touched(vmf->vma);
	get_page(page);
	vmf->page = page;
	return 0;
}

static const struct vm_operations_struct box_vm_ops = {
	.open = box_open,
	.close = box_close,
	.fault = box_fault,
};

/**
 * bd_box_mmap() - map pages of the file's box
 * @user: of the file
 * @vma: at BD_BOX_OFFSET or behind
 */
int bd_box_mmap(struct bd_user *user, struct vm_area_struct *vma)
{
	struct bd_file_box *box = smp_load_acquire(&user->box);	/* whole */
	u64 from = vma->vm_pgoff - (BD_BOX_OFFSET >> PAGE_SHIFT), pages = vma_pages(vma);

	if (!box || from < box->first || from - box->first > box->pages ||
	    pages > box->pages - (from - box->first))
		return -EINVAL;
	if (!(vma->vm_flags & VM_SHARED) || vma->vm_flags & VM_EXEC)
		return -EINVAL;
	bd_vm_flags_mod(vma, VM_DONTEXPAND, VM_MAYEXEC);
	vma->vm_ops = &box_vm_ops;
	count(vma);
	return 0;
}
