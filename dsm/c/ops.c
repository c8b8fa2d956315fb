/* SPDX-License-Identifier: Apache-2.0 */
/* ops.c - what a program does: locks, barriers, conditions, pages. */
#include "impl.h"

__thread int mine;

int begin(void)
{
	if (self.stage != IN)
		return fail(-ENOTCONN, "this process has joined no node");
	if (!mine)
		return fail(-EBUSY, "another thread uses the DSM: one of a process may");
	self.done++;
	return 0;
}

int dsm_node(void)
{
	return self.w.node;
}

int dsm_nodes(void)
{
	return self.w.nodes;
}

size_t dsm_page_size(void)
{
	return self.w.page_size;
}

int dsm_replayed(void)
{
	return self.past;
}

static int give_out(int *next, uint32_t most, int count, const char *what)
{
	int first = *next;

	if (self.stage != WELCOME && self.stage != IN)
		return fail(-ENOTCONN, "this process has joined no node");
	if (self.done)
		return fail(-EALREADY, "%s are reserved before the first operation, so that all nodes agree", what);
	if (count < 0 || (uint32_t)count > most - first)
		return fail(-ENOSPC, "%d %s more than %d, of %u", count, what, first, most);
	*next += count;
	return first;
}

int dsm_locks(int count)
{
	return give_out(&self.lock, self.w.locks, count, "locks");
}

int dsm_conds(int count)
{
	return give_out(&self.cond, self.w.conds, count, "conditions");
}

static int own(int lock, int held)
{
	if (lock < 0 || lock >= self.lock)
		return fail(-EINVAL, "lock %d: the program did not reserve it", lock);
	if (self.stage == IN && self.held[lock] != held)
		return fail(held ? -EPERM : -EDEADLK, "lock %d: this node %s", lock, held ? "does not have it" : "has it already");
	return 0;
}

int dsm_lock(int lock)
{
	int err = own(lock, 0);

	if (err >= 0)
		err = take_lock(lock);
	if (err >= 0)
		self.held[lock] = 1;
	return err;
}

int dsm_unlock(int lock)
{
	int err = own(lock, 1);

	if (err >= 0)
		err = give_lock(lock);
	if (err >= 0)
		self.held[lock] = 0;
	return err;
}

int dsm_barrier(unsigned barrier)
{
	if (barrier == BD_DSM_LAST)
		return fail(-EINVAL, "barrier %u is the end's", barrier);
	return operation(BD_DSM_BARRIER, barrier, 0, 0);
}

static int known(int cond)
{
	if (cond < 0 || cond >= self.cond)
		return fail(-EINVAL, "condition %d: the program did not reserve it", cond);
	return 0;
}

int dsm_wait(int cond, int lock)
{
	int err = known(cond);

	if (err >= 0)
		err = own(lock, 1);
	return err < 0 ? err : operation(BD_DSM_WAIT, cond, lock, 0);
}

int dsm_signal(int cond)
{
	int err = known(cond);

	return err < 0 ? err : operation(BD_DSM_SIGNAL, cond, 0, 0);
}

int dsm_broadcast(int cond)
{
	int err = known(cond);

	return err < 0 ? err : operation(BD_DSM_BROADCAST, cond, 0, 0);
}

int in_region(const void *p, size_t bytes)
{
	uint64_t at = (uintptr_t)p - self.w.base;

	if ((uintptr_t)p < self.w.base || !bytes || at >= self.w.bytes || bytes > self.w.bytes - at)
		return fail(-EFAULT, "%zu bytes at %p are not shared", bytes, p);
	return 0;
}

static int on_pages(uint32_t kind, const void *p, size_t bytes, uint64_t arg)
{
	uint64_t first, last;
	int err = in_region(p, bytes);

	if (err < 0)
		return err;
	first = ((uintptr_t)p - self.w.base) / self.w.page_size;
	last = ((uintptr_t)p - self.w.base + bytes - 1) / self.w.page_size;
	return operation(kind, first, last - first + 1, arg);
}

int dsm_place(const void *p, size_t bytes, int node)
{
	if (node < 0 || (uint32_t)node >= self.w.nodes)
		return fail(-EINVAL, "node %d of %u", node, self.w.nodes);
	return on_pages(BD_DSM_PLACE, p, bytes, node);
}

int dsm_prefetch(const void *p, size_t bytes, int write)
{
	return on_pages(BD_DSM_PREFETCH, p, bytes, !!write);
}
