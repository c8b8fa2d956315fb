// SPDX-License-Identifier: GPL-2.0
/*
 * bd_foreign.c - words that this kernel has but does not export (nr_threads,
 * runqueues.nr_switches, nr_files, psi_system.total): bdagent finds their
 * addresses in /proc/kallsyms and registers them; a monitor reads them from
 * the memory region. Nothing here ever follows such an address.
 */
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/string.h>
#include "bd.h"
#include "bd_builtin.h"
#include "bd_user.h"

static struct bd_foreign *words;
static struct bd_region *region;
static DEFINE_MUTEX(words_lock);

#define FOREIGN_PERCPU	1u
#define FOREIGN_SUM	2u

static_assert(sizeof(struct bd_foreign) * BD_FOREIGN_MAX <= PAGE_SIZE);

static int check(const struct bd_foreign *w)
{
	if (!bd_word_ok(w->name, sizeof(w->name), false))
		return -EINVAL;
	if (w->flags & ~(FOREIGN_PERCPU | FOREIGN_SUM))
		return -EINVAL;
	if (w->flags == FOREIGN_SUM || !w->size || w->size > PAGE_SIZE)
		return -EINVAL;
	/* an offset into each CPU's area, or an address of this kernel */
	if (w->flags & FOREIGN_PERCPU)
		return 0;
	return w->addr < PAGE_OFFSET || w->addr + w->size < w->addr ? -EFAULT : 0;
}

/* The entry of that name, or a free one; NULL: the region is full. */
static struct bd_foreign *place(const char *name)
{
	struct bd_foreign *free = NULL;
	int i;

	for (i = 0; i < BD_FOREIGN_MAX; i++) {
		if (!strcmp(words[i].name, name))
			return &words[i];
		if (!words[i].name[0] && !free)
			free = &words[i];
	}
	return free;
}

/**
 * bd_foreign_add() - publish where a word of the kernel lies
 * @word: a known name replaces its entry
 */
int bd_foreign_add(const struct bd_foreign *word)
{
	struct bd_foreign *w;
	int err = check(word);

	if (err)
		return err;
	mutex_lock(&words_lock);
	w = place(word->name);
	if (w) {
		WRITE_ONCE(w->name[0], 0);
		smp_wmb();	/* nameless while it changes */
		w->addr = word->addr;
		w->size = word->size;
		w->flags = word->flags;
		strscpy(w->name + 1, word->name + 1, sizeof(w->name) - 1);
		smp_store_release(&w->name[0], word->name[0]);	/* makes it an entry */
	}
	mutex_unlock(&words_lock);
	return w ? 0 : -ENOSPC;
}

int bd_foreign_init(void)
{
	int err;

	words = bd_pages_alloc(PAGE_SIZE);
	if (!words)
		return -ENOMEM;
	err = bd_region_add("foreign", BD_KIND_FOREIGN, BD_PERM_READ, words,
			    sizeof(*words) * BD_FOREIGN_MAX, &region);
	if (err)
		bd_pages_free(words, PAGE_SIZE);
	return err;
}

void bd_foreign_exit(void)
{
	bd_region_del(region);
	bd_pages_free(words, PAGE_SIZE);
}
