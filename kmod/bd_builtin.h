/* SPDX-License-Identifier: GPL-2.0 */
/* bd_builtin.h - the built-in sensors among themselves; identifiers are stable. */
#ifndef BD_BUILTIN_H
#define BD_BUILTIN_H

#include <linux/tracepoint.h>
#include "bd_sensor.h"

enum bd_builtin_id {
	BD_ID_KTHREAD = 1,
	BD_ID_CTXSW = 2,
	BD_ID_INTERRUPTS = 3,
	BD_ID_DEV_INTERRUPTS = 4,
	BD_ID_NPROCS = 10,
	BD_ID_MAXPROCRATE = 11,
	BD_ID_NTHREADS = 12,
	BD_ID_ZOMBIES = 13,
	BD_ID_RUNQUEUE = 14,
	BD_ID_LOADAVG = 15,
	BD_ID_CENSUS_COST = 16,
	BD_ID_FREE_PAGES = 20,
	BD_ID_AVAIL_PAGES = 21,
	BD_ID_WIRED_PAGES = 22,
	BD_ID_SWAP_FREE = 23,
	BD_ID_SWAPIN_RATE = 24,
	BD_ID_SWAPOUT_RATE = 25,
	BD_ID_MEM_STALL = 26,
	BD_ID_OOM = 27,
	BD_ID_OOM_KILLS = 28,
	BD_ID_FILES_OPEN = 30,
	BD_ID_FILES_FULL = 31,
	BD_ID_TICKS = 1000,	/* + cpu */
	BD_ID_CTXSW_CPU = 2000,	/* + cpu */
};

/* Two sensors per CPU must leave room in the box for the others. */
#define BD_SENSOR_CPUS	96

/* bd_sensor.c */
bool bd_word_ok(const char *s, size_t size, bool unit);
struct bd_sensor *bd_sensor_builtin(u32 id, enum bd_class class, u64 limit,
				    u16 flags, const char *name,
				    const char *unit, const char *route);
void bd_sensor_missing(const char *name, const char *why);
int bd_sensor_limit(const char *name, size_t len, const u64 *limit);
void bd_sensor_rest(struct bd_sensor *s, bool rest);
u64 bd_sensor_contract(const struct bd_sensor *s);

/* bd_limits.c: the parameter limits */
int bd_limits_init(void);
void bd_limits_exit(void);

/* bd_tracepoint.c: tracepoints are not exported, but can be found */
struct bd_hook {
	const char *name;
	void *probe;
	struct tracepoint *tp;
};

int bd_hook_attach(struct bd_hook *hook);
void bd_hook_detach(struct bd_hook *hook);

/* What one census saw; every count is of user tasks. */
struct bd_census {
	u64 procs;
	u64 threads;
	u64 zombies;
	u64 runnable;
	u64 stalled;
};

/* bd_uids.c: who */
int bd_uids_init(void);
bool bd_uids_forks_seen(void);
void bd_uids_exit(void);
void bd_uids_begin(void);
void bd_uids_count(u32 uid, u32 threads, u64 footprint);
u64 bd_uids_publish(u64 now_ns);

/* bd_census.c */
int bd_census_init(void);
void bd_census_exit(void);

/* bd_sensor_cpu.c, bd_sensor_mem.c, bd_sensor_file.c: sampled by the census */
int bd_sensor_cpu_init(void);
void bd_sensor_cpu_exit(void);
int bd_sensor_mem_init(void);
void bd_sensor_mem_exit(void);
void bd_sensor_mem_sample(u64 now_ns);
int bd_sensor_file_init(void);
void bd_sensor_file_exit(void);
void bd_sensor_file_sample(u64 now_ns);

/* bd_heart.c */
int bd_heart_init(void);
void bd_heart_exit(void);

#endif
