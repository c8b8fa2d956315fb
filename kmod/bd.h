/* SPDX-License-Identifier: GPL-2.0 */
/*
 * bd.h - what the parts of backdoor.ko share with one another.
 *
 * Order of birth (bd_main.c): keys, policy, regions, manifest, panic stamp,
 * lock, hooks, sensors, device, poller, back end. Death is the exact reverse, and the back
 * end withdraws the root first so that no monitor reads what is being freed.
 */
#ifndef BD_H
#define BD_H

#include <linux/types.h>
#include <linux/build_bug.h>
#include <linux/cpumask.h>
#include <linux/stddef.h>
#include <linux/time64.h>
#include "uapi/bd_fence.h"
#include "uapi/bd_rdma.h"

/* A fence is asked for as a lock is; the heir stands where that has its lease. */
static_assert(sizeof(struct bd_fence_req) == sizeof(struct bd_lock_req));
static_assert(offsetof(struct bd_fence_req, heir) == offsetof(struct bd_lock_req, lease_ms));
static_assert(offsetof(struct bd_fence_req, tag) == offsetof(struct bd_lock_req, tag));
static_assert(offsetof(struct bd_fence_req, commit) == offsetof(struct bd_lock_req, commit));

#define bd_pr(fmt)	"backdoor: " fmt

/* bd_main.c */
extern u8 bd_boot_id[16];
extern u64 bd_generation;
extern bool bd_allow_repair;
extern bool bd_allow_fence;
extern bool bd_export_memory;
extern uint bd_nic_cpu;
extern bool bd_pin_workers;

/* bd_region.c */
void *bd_pages_alloc(size_t len);
void bd_pages_free(void *va, size_t len);
int bd_region_init(void);
void bd_region_exit(void);
int bd_region_add(const char *name, u32 kind, u32 perm, void *va, size_t len,
		  struct bd_region **out);
int bd_region_add_phys(const char *name, u32 kind, u32 perm, u64 addr,
		       u64 phys, u64 len, u32 flags, struct bd_region **out);
void bd_region_del(struct bd_region *region);
void *bd_area_new(const char *name, u32 kind, u32 perm, size_t len,
		  struct bd_region **out);
void bd_area_free(void *va, size_t len, struct bd_region *region);
struct bd_table *bd_region_table(void);
void bd_region_root(struct bd_root *root);

/* bd_memory.c */
int bd_memory_export(void);

/* bd_backend.c: who carries the regions to monitors */
struct bd_backend {
	const char *name;
	int (*start)(void);
	void (*publish)(void);		/* the table changed */
	void (*withdraw)(void);		/* nothing may be read from now on */
	void (*monitor)(u32 monitor);	/* its key or policy changed; may be NULL */
	void (*stop)(void);
	struct list_head list;
};

int bd_backend_register(struct bd_backend *backend);
void bd_backend_unregister(struct bd_backend *backend);
void bd_backend_publish(void);
void bd_backend_monitor(u32 monitor);

extern struct bd_backend bd_inic_backend;

/* bd_manifest.c, bd_offsets.c, bd_buildid.c */
int bd_manifest_init(void);
void bd_manifest_exit(void);
int bd_manifest_string(const char *name, const char *text);
int bd_manifest_value(const char *name, u64 value);
int bd_manifest_set(const char *name, u64 value);
int bd_manifest_offset(const char *name, u32 offset, u32 bytes);
void bd_build_id(char *text);
int bd_offsets_tasks(void);
int bd_offsets_net(void);

/* bd_auth.c */
enum bd_area {
	BD_AREA_LOCK, BD_AREA_FENCE, BD_AREA_KILL, BD_AREA_KNOB, BD_AREA_OWNER,
	BD_AREA_PROPOSAL, BD_AREA_HELLO, BD_AREAS
};

int bd_auth_init(void);
void bd_auth_exit(void);
const void *bd_key_page(void);
int bd_key_set(u32 monitor, const u8 key[16], bool revoke);
bool bd_key_present(u32 monitor);
bool bd_tag_ok(u32 monitor, u32 kind, u32 index, const void *body, size_t len,
	       u64 tag);
bool bd_proposal_tag_ok(u32 monitor, u32 index, const struct bd_proposal *p);
u64 bd_tag_make(u32 monitor, u32 kind, u32 index, const void *body, size_t len);
u64 bd_seq_highest(enum bd_area area, u32 monitor);
bool bd_seq_ok(enum bd_area area, u32 monitor, u64 seq);
void bd_seq_take(enum bd_area area, u32 monitor, u64 seq);

/* bd_policy.c */
struct bd_agreement {
	u32 kind;
	u32 k;		/* below 2: none */
	u32 voters;
	u32 window_ms;
};

int bd_policy_init(void);
void bd_policy_exit(void);
bool bd_policy_sealed(void);
bool bd_may_read(u32 monitor, u32 kind);
bool bd_may_write(u32 monitor, u32 kind);
bool bd_may_act(u32 monitor, u32 kind);
const struct bd_agreement *bd_agreement(u32 kind);
long bd_policy_ioctl(unsigned int cmd, void __user *arg);

/* bd_owner.c */
int bd_owner_init(void);
void bd_owner_exit(void);
void bd_owner_scan(void);
u32 bd_owner_epoch(void);
bool bd_owner_other(u32 monitor);

/* bd_propose.c */
int bd_propose_init(void);
void bd_propose_exit(void);
void bd_propose_scan(int cpu);
void bd_propose_report(u64 now_ns);

/* bd_lock.c: requests; bd_freeze.c: CPUs */
int bd_lock_init(void);
void bd_lock_exit(void);
void bd_lock_scan(int cpu);
bool bd_lock_agreed(int cpu, const struct bd_proposal *p, u32 m, u32 *result);
struct bd_lock_ack *bd_lock_ack(void);
void bd_lock_granted(void);
bool bd_lock_expired(u32 round);

/* bd_cpus.c */
void bd_cpus_count(struct bd_lock_ack *ack);
bool bd_cpus_counted(const struct bd_lock_ack *ack);

/* Beyond draining: time for slow vCPUs and NMIs before a partial grant. */
#define BD_STOP_NS	NSEC_PER_SEC

struct bd_stop {
	u32 epoch;
	u32 flags;
	u64 drain_end_ns;
	u64 stop_end_ns;
	u64 lease_end_ns;
	bool fence;
};

int bd_freeze_init(void);
void bd_freeze_exit(void);
bool bd_freeze_idle(void);
bool bd_freeze_stands(u32 round);
bool bd_freeze_mine(int cpu);
bool bd_nmi_held(void);
void bd_freeze_begin(int leader, const struct bd_stop *stop);
void bd_freeze_renew(u64 lease_end_ns);
void bd_freeze_end(void);
bool bd_freeze_lead(int cpu);
void bd_freeze_follow(int cpu);
void bd_freeze_fence(u32 flags);
bool bd_freeze_scans(int cpu);
bool bd_freeze_spares(void);

/* bd_silence.c */
int bd_silence_init(void);
void bd_silence_exit(void);
void bd_silence(void);
bool bd_silence_broken(u8 where);
bool bd_silence_seen(int cpu, bool moves);

/* bd_calls.c */
bool bd_calls_come(void);
void bd_calls_poll(bool polled);
void bd_calls_answer(void);

/* bd_kill.c, bd_knob.c, bd_knob_soft.c */
int bd_kill_init(void);
void bd_kill_exit(void);
void bd_kill_scan(void);
u32 bd_kill_agreed(const u8 *data, u32 len, u32 m, u8 *results);
int bd_knob_init(void);
void bd_knob_exit(void);
void bd_knob_scan(void);
bool bd_knob_agreed(const struct bd_proposal *p, u32 m, u32 *result);
int bd_knob_apply(const struct bd_knob_slot *slot, s64 *before);

/* bd_poll.c: one hard timer per CPU drives everything above */
int bd_poll_init(void);
void bd_poll_exit(void);
void bd_poll_soon(int cpu);
bool bd_poll_scans(int cpu);

/* bd_panic.c, bd_kdump.c */
int bd_panic_init(void);
void bd_panic_exit(void);
int bd_kdump_init(void);
void bd_kdump_exit(void);
void bd_kdump_sample(u64 now_ns);

/* bd_sensor.c, bd_dev.c, bd_foreign.c */
int bd_sensor_init(void);
void bd_sensor_exit(void);
void bd_tick(int cpu);
void bd_cpu_online(int cpu);
void bd_cpu_offline(int cpu);
int bd_dev_init(void);
void bd_dev_exit(void);
int bd_foreign_init(void);
void bd_foreign_exit(void);

/* bd_sysfs.c, bd_selftest.c */
int bd_sysfs_init(void);
void bd_sysfs_exit(void);
int bd_selftest(void);

#endif
