/* SPDX-License-Identifier: Apache-2.0 */
/* all.c - every call of dsm.h once, by the only node. */
#include <dsm.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static void must(int err)
{
	if (err >= 0)
		return;
	fprintf(stderr, "%s\n", dsm_error());
	exit(1);
}

int main(void)
{
	int lock, cond;
	long *s, *h;

	must(dsm_join(NULL));
	s = dsm_slice(1024 * sizeof(*s));
	must(lock = dsm_locks(3));
	must(cond = dsm_conds(2));
	if (!s || (uintptr_t)s % dsm_page_size() || dsm_node() != 0 || dsm_nodes() != 1)
		return 2;
	must(dsm_lock(lock + 2));
	s[1023] = 7;
	must(dsm_wait(cond + 1, lock + 2));
	must(dsm_signal(cond));
	must(dsm_broadcast(cond + 1));
	must(dsm_unlock(lock + 2));
	must(dsm_place(s, 1024 * sizeof(*s), 0));
	must(dsm_prefetch(s + 600, 424 * sizeof(*s), 1));
	must(dsm_barrier(9));
	if (!dsm_replayed() || s[1023] != 7)
		return 3;
	h = dsm_alloc(5 * sizeof(*h));
	if (!h)
		must(-1);
	h[0] = h[4] = 1;
	must(dsm_free(h));
	if (dsm_alloc(33) != h)
		return 4;
	must(dsm_end());
	return 0;
}
