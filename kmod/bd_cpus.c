// SPDX-License-Identifier: GPL-2.0
/*
 * bd_cpus.c - sums up where each CPU was caught: the masks of the answer, and
 * whether the view is drained.
 */
#include <linux/cpumask.h>
#include <linux/kernel.h>
#include <linux/string.h>
#include "bd.h"

static void add_mask(__u64 *mask, int cpu)
{
	mask[cpu / 64] |= 1ULL << (cpu % 64);
}

static bool in_mask(const __u64 *mask, int cpu)
{
	return mask[cpu / 64] >> (cpu % 64) & 1;
}

/**
 * bd_cpus_count() - fills masks, ncpus and drained from the per-CPU records
 * @ack: between write_begin() and write_end()
 */
void bd_cpus_count(struct bd_lock_ack *ack)
{
	int cpu;

	memset(ack->parked, 0, sizeof(ack->parked));
	memset(ack->ipi, 0, sizeof(ack->ipi));
	memset(ack->nmi, 0, sizeof(ack->nmi));
	memset(ack->free, 0, sizeof(ack->free));
	ack->drained = 1;
	ack->ncpus = 0;		/* with those that are out before the last */
	for_each_online_cpu(cpu) {
		struct bd_lock_cpu *c;
		u8 where;

		if (cpu >= BD_MAX_CPUS) {
			ack->drained = 0;	/* it has no record, and no bit */
			break;
		}
		ack->ncpus = cpu + 1;
		c = &ack->cpu[cpu];
		where = READ_ONCE(c->where);
		if (where <= BD_CPU_RUNNING)	/* it may have come online just now */
			add_mask(ack->free, cpu);
		else if (where == BD_CPU_SILENT)
			add_mask(ack->parked, cpu);
		else if (where >= BD_CPU_NMI_USER)
			add_mask(ack->nmi, cpu);
		else
			add_mask(ack->ipi, cpu);
		if (where <= BD_CPU_RUNNING || !c->drained)
			ack->drained = 0;
	}
	if (ack->state == BD_LOCK_FENCED)
		ack->since_ns = ack->now_ns;	/* the leader's last look */
}

/**
 * bd_cpus_counted() - do the masks still say what they have to
 * @ack: the leader's look, between two counts
 *
 * Of a grant they say which CPUs were held when it was given, unless one has
 * come since; under a fence they follow the CPUs. None goes while others are
 * held: taking one out needs all of them.
 */
bool bd_cpus_counted(const struct bd_lock_ack *ack)
{
	int cpu;

	for_each_online_cpu(cpu) {
		bool runs, listed;

		if (cpu >= BD_MAX_CPUS)
			break;
		runs = READ_ONCE(ack->cpu[cpu].where) <= BD_CPU_RUNNING;
		listed = in_mask(ack->free, cpu);
		if (!listed && !in_mask(ack->ipi, cpu) && !in_mask(ack->nmi, cpu) &&
		    !in_mask(ack->parked, cpu))
			return false;
		if (ack->state == BD_LOCK_FENCED && runs != listed)
			return false;
	}
	return true;
}
