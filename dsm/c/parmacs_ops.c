/* SPDX-License-Identifier: Apache-2.0 */
/* parmacs_ops.c - memory, locks, barriers and the like of the ANL macros. */
#include <stdlib.h>

#include "impl.h"
#include "parmacs.h"
#include "parmacs_impl.h"

/*
 * Main touches everything first, but homes are to be everywhere: a large array's
 * in as many parts as there are nodes, those of small ones in turn.
 */
static void give_homes(uint64_t from, uint64_t to)
{
	uint64_t page = self.w.page_size, first = from / page, pages = (to + page - 1) / page - first;
	int nodes = dsm_nodes();

	for (int node = 0; dsm_node() == 0 && node < nodes; node++) {
		uint64_t a = first + pages * node / nodes, b = first + pages * (node + 1) / nodes;

		if (b > a)
			pm_must(call(BD_DSM_PLACE, a, b - a, pages < (uint64_t)nodes ? a % nodes : (uint64_t)node));
	}
}

void *dsm_malloc(size_t bytes)
{
	uint64_t end;
	void *p;

	dsm_parmacs();
	end = self.top;
	p = pm.stage == MAIN ? dsm_slice(bytes) : dsm_alloc(bytes);
	if (!p)
		pm_die();
	if (pm.stage == MAIN)
		give_homes(self.top, end / self.w.page_size * self.w.page_size);
	return p;
}

/* What main was given stays. */
void dsm_release(void *p)
{
	if (pm.stage != MAIN && (uintptr_t)p < self.w.base + self.top)
		pm_must(dsm_free(p));
}

int dsm_new_lock(void)
{
	uint32_t i;

	dsm_parmacs();
	if (pm.stage == MAIN) {
		i = pm.given++;
	} else {
		pm_must(take_lock(self.w.locks));
		i = (*pm.next)++;
		pm_must(give_lock(self.w.locks));
	}
	if (i >= self.w.locks)
		pm_no("LOCKINIT: the DSM has no more locks");
	return pm.locks + (int)i;
}

void dsm_take(int lock)
{
	if (pm.stage == MAIN)
		pm.taken++;
	else
		pm_must(dsm_lock(lock));
}

void dsm_give(int lock)
{
	if (pm.stage == MAIN)
		pm.taken--;
	else
		pm_must(dsm_unlock(lock));
}

int dsm_new_barrier(void)
{
	dsm_parmacs();
	if (pm.stage != MAIN)
		pm_no("BARINIT: after CREATE");
	return pm.barriers++;
}

void dsm_meet(int barrier, long processes)
{
	if (pm.stage == MAIN)
		pm_no("BARRIER: before CREATE");
	if (processes != dsm_nodes())
		pm_no("BARRIER: for fewer than all processes");
	pm_must(dsm_barrier(barrier));
}

/* Programs have more of them than there are; then some share one. */
int dsm_new_cond(const void *at)
{
	uint64_t i;

	dsm_parmacs();
	if (!self.w.conds)
		pm_no("CONDVARINIT: the DSM has no conditions");
	if (in_region(at, 1) >= 0)
		i = ((uintptr_t)at - self.w.base) / sizeof(int);
	else
		i = pm.private_conds++;
	return pm.conds + (int)(i % self.w.conds);
}

void dsm_await(int cond, int lock)
{
	if (pm.stage == MAIN)
		pm_no("CONDVARWAIT: before CREATE nobody signals");
	pm_must(dsm_wait(cond, lock));
}

void dsm_wake(int cond)
{
	if (pm.stage != MAIN)
		pm_must(dsm_broadcast(cond));
}

void dsm_new_pause(struct dsm_pause *p)
{
	*p = (struct dsm_pause){ dsm_new_lock(), dsm_new_cond(p), 0 };
}

void dsm_set_pause(struct dsm_pause *p)
{
	dsm_take(p->lock);
	p->set++;
	dsm_wake(p->cond);
	dsm_give(p->lock);
}

void dsm_wait_pause(struct dsm_pause *p)
{
	dsm_take(p->lock);
	while (!p->set)
		dsm_await(p->cond, p->lock);
	p->set--;
	dsm_give(p->lock);
}
