// SPDX-License-Identifier: GPL-2.0
/*
 * bd_uids.c - who: for each user tasks, processes, forks per second and
 * footprint, in a region beside the box (a scalar does not say who).
 *
 * Forks are counted where they happen (tracepoint sched_process_fork), so that
 * processes shorter than a census count too. Buckets of 16 users, one cache
 * line of keys each: an entry that is given back breaks no chain.
 */
#include <linux/atomic.h>
#include <linux/cred.h>
#include <linux/err.h>
#include <linux/hash.h>
#include <linux/math64.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/uidgid.h>
#include <linux/vmalloc.h>
#include "bd.h"
#include "bd_builtin.h"

#define BUCKET_BITS	6
#define BUCKET		16
#define WHO		(BUCKET << BUCKET_BITS)
#define WINDOW		10	/* censuses: a second at census_ms=100 */
#define IDLE_MAX	600	/* censuses without a task until forgotten */
#define NO_UID		0u	/* keys are uid + 1; (uid_t)-1 names nobody */

struct who {
	atomic64_t forks;
	u64 past[WINDOW];	/* forks at the last censuses */
	u64 footprint;
	u32 tasks;
	u32 procs;
	u32 idle;
};

static u32 *keys;
static struct who *who;
static u64 stamps[WINDOW];
static u32 pass;
static atomic_t overflow = ATOMIC_INIT(0);
static struct bd_uids *out;
static struct bd_uids draft;
static struct bd_region *region;

static_assert(sizeof(struct bd_uids) <= PAGE_SIZE);

/* Any context; a race of two first forks costs one entry until it is idle. */
static struct who *find(u32 uid)
{
	u32 key = uid + 1, first = hash_32(key, BUCKET_BITS) * BUCKET, i;

	for (i = first; i < first + BUCKET; i++)
		if (READ_ONCE(keys[i]) == key)
			return &who[i];
	for (i = first; i < first + BUCKET; i++) {
		u32 was = READ_ONCE(keys[i]);

		if (was == NO_UID)
			was = cmpxchg(&keys[i], NO_UID, key);
		if (was == NO_UID || was == key)
			return &who[i];
	}
	atomic_inc(&overflow);
	return NULL;
}

static void on_fork(void *data, struct task_struct *parent,
		    struct task_struct *child)
{
	struct who *w;

	/* a thread is no process, and kernel threads never count */
	if (child->flags & PF_KTHREAD || child->pid != child->tgid)
		return;
	w = find(from_kuid(&init_user_ns, task_uid(child)));
	if (w)
		atomic64_inc(&w->forks);
}

static struct bd_hook fork_hook = {
	.name = "sched_process_fork",
	.probe = on_fork,
};

/** bd_uids_forks_seen() - whether this kernel lets us count forks */
bool bd_uids_forks_seen(void)
{
	return fork_hook.tp;
}

/** bd_uids_begin() - a census starts: nobody was seen yet */
void bd_uids_begin(void)
{
	u32 i;

	for (i = 0; i < WHO; i++) {
		if (!keys[i])
			continue;
		who[i].tasks = 0;
		who[i].procs = 0;
		who[i].footprint = 0;
	}
}

/**
 * bd_uids_count() - a process was seen
 * @uid: real, in the initial user namespace
 * @threads: its user threads
 * @footprint: pages
 */
void bd_uids_count(u32 uid, u32 threads, u64 footprint)
{
	struct who *w = find(uid);

	if (!w)
		return;
	w->tasks += threads;
	w->procs++;
	w->footprint += footprint;
}

static void forget(u32 i)
{
	memset(&who[i], 0, sizeof(who[i]));
	smp_store_release(&keys[i], NO_UID);	/* after its last use */
}

static u64 weight(const struct bd_uid *u)
{
	return u->tasks + u->forks_per_s + (u->footprint >> 8);
}

/*
 * Where more users live than the table holds, the lightest are left out. Two
 * censuses may meet here (bd_census.c): the count is looked at once, so that none
 * of them takes a place beyond the last.
 */
static struct bd_uid *room(u64 heavier)
{
	struct bd_uid *least = &draft.uid[0];
	u32 i, n = READ_ONCE(draft.count);

	if (n < BD_UIDS_MAX) {
		WRITE_ONCE(draft.count, n + 1);
		return &draft.uid[n];
	}
	draft.overflow++;
	for (i = 1; i < BD_UIDS_MAX; i++)
		if (weight(&draft.uid[i]) < weight(least))
			least = &draft.uid[i];
	return weight(least) < heavier ? least : NULL;
}

static struct bd_uid record_of(u32 i, u64 span_ns)
{
	struct who *w = &who[i];
	u64 forks = atomic64_read(&w->forks);
	u64 born = forks - w->past[pass % WINDOW];
	struct bd_uid u = {
		.uid = keys[i] - 1,
		.tasks = w->tasks,
		.procs = w->procs,
		.footprint = w->footprint,
		.forks = forks,
	};

	u.forks_per_s = div64_u64(born * NSEC_PER_SEC, span_ns);
	w->past[pass % WINDOW] = forks;
	w->idle = w->procs || born ? 0 : w->idle + 1;
	return u;
}

/* Short and without interrupts: a CPU held by a monitor leaves it whole. */
static void copy_out(void)
{
	u32 n = READ_ONCE(draft.count);
	unsigned long flags;
	u64 seq;

	local_irq_save(flags);
	seq = READ_ONCE(out->seq) | 1;	/* two censuses that met leave it odd once, not for ever */
	WRITE_ONCE(out->seq, seq);
	smp_wmb();	/* odd before anything moves */
	out->count = n;
	out->overflow = draft.overflow;
	out->mono_ns = draft.mono_ns;
	memcpy(out->uid, draft.uid, n * sizeof(draft.uid[0]));
	smp_wmb();	/* everything before it is even again */
	WRITE_ONCE(out->seq, seq + 1);
	local_irq_restore(flags);
}

/**
 * bd_uids_publish() - a census ends: write the table
 * @now_ns: monotonic
 *
 * Return: forks per second of the busiest user over the last WINDOW censuses.
 */
u64 bd_uids_publish(u64 now_ns)
{
	u64 busiest = 0, span = now_ns - stamps[pass % WINDOW];
	struct bd_uid u, *r;
	u32 i;

	WRITE_ONCE(draft.count, 0);
	draft.overflow = atomic_xchg(&overflow, 0);
	draft.mono_ns = now_ns;
	for (i = 0; i < WHO; i++) {
		if (!keys[i])
			continue;
		u = record_of(i, span ?: 1);
		busiest = max_t(u64, busiest, u.forks_per_s);
		if (who[i].idle > IDLE_MAX) {
			forget(i);
			continue;
		}
		r = room(weight(&u));
		if (r)
			*r = u;
	}
	copy_out();
	stamps[pass % WINDOW] = now_ns;
	pass++;
	return busiest;
}

static void tables_free(void)
{
	bd_pages_free(out, PAGE_SIZE);
	vfree(who);
	kvfree(keys);
	out = NULL;
}

int bd_uids_init(void)
{
	int i, err = -ENOMEM;

	keys = kvcalloc(WHO, sizeof(*keys), GFP_KERNEL);
	who = vzalloc(array_size(WHO, sizeof(*who)));
	out = bd_pages_alloc(PAGE_SIZE);
	if (!keys || !who || !out)
		goto err_tables;
	for (i = 0; i < WINDOW; i++)
		stamps[i] = ktime_get_ns();
	out->magic = BD_UIDS_MAGIC;
	err = bd_region_add("uids", BD_KIND_UIDS, BD_PERM_READ, out, PAGE_SIZE, &region);
	if (err)
		goto err_tables;
	if (bd_hook_attach(&fork_hook))
		bd_sensor_missing("MAXPROCRATE_PERUID", "no tracepoint sched_process_fork");
	return 0;

err_tables:
	tables_free();
	return err;
}

void bd_uids_exit(void)
{
	bd_hook_detach(&fork_hook);
	bd_region_del(region);
	tables_free();
}
