/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nodes.c - several nodes: counters under locks, a list in the heap, a place that
 * each number goes through. Node 0 writes what came of it.
 */
#include <dsm.h>
#include <stdio.h>
#include <stdlib.h>

enum { COUNTERS = 3, ROUNDS = 200, ITEMS = 50, LAST = 100 };

struct item { struct item *next; int from; };

struct shared {
	long counter[COUNTERS];
	struct item *list;
	long place, taken, sum;
};

static void must(int err)
{
	if (err >= 0)
		return;
	fprintf(stderr, "%s\n", dsm_error());
	exit(1);
}

static void count(struct shared *g, int locks)
{
	for (int i = 0; i < ROUNDS; i++) {
		int c = (i + dsm_node()) % COUNTERS;

		must(dsm_lock(locks + c));
		g->counter[c]++;
		must(dsm_unlock(locks + c));
	}
}

static void link_items(struct shared *g, int lock)
{
	for (int i = 0; i < ITEMS; i++) {
		struct item *it = dsm_alloc(sizeof(*it)), *more = dsm_alloc(sizeof(*it));

		if (!it || !more)
			must(-1);
		must(dsm_free(more));
		must(dsm_lock(lock));
		*it = (struct item){ g->list, dsm_node() };
		g->list = it;
		must(dsm_unlock(lock));
	}
}

/* Node 0 puts numbers where one fits; the others take them. */
static void pass(struct shared *g, int lock, int cond)
{
	for (long i = 1;; i++) {
		must(dsm_lock(lock));
		while (dsm_node() ? !g->place && g->taken < LAST : g->place && g->taken < LAST)
			must(dsm_wait(cond, lock));
		if (g->taken == LAST)
			break;
		if (dsm_node() == 0) {
			g->place = i;
		} else {
			g->sum += g->place;
			g->place = 0;
			g->taken++;
		}
		must(dsm_broadcast(cond));
		must(dsm_unlock(lock));
	}
	must(dsm_unlock(lock));
}

int main(void)
{
	int locks, cond, seen[64] = { 0 };
	struct shared *g;

	must(dsm_join(NULL));
	g = dsm_slice(sizeof(*g));
	must(locks = dsm_locks(COUNTERS + 1));
	must(cond = dsm_conds(1));
	count(g, locks);
	link_items(g, locks + COUNTERS);
	must(dsm_barrier(1));
	if (dsm_nodes() > 1)
		pass(g, locks, cond);
	must(dsm_barrier(2));
	for (struct item *it = g->list; it; it = it->next)
		seen[it->from]++;
	for (int i = 0; i < dsm_nodes(); i++)
		if (seen[i] != ITEMS)
			return 2;
	if (dsm_node() == 0)
		printf("%ld %ld\n", g->counter[0] + g->counter[1] + g->counter[2], g->sum);
	must(dsm_end());
	return 0;
}
