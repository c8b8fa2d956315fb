/* SPDX-License-Identifier: (GPL-2.0 WITH Linux-syscall-note) OR Apache-2.0 */
/*
 * backdoor.h - every layout that backdoor.ko shares with a monitor (remote
 * reads and writes), with user space on the target (ioctl, mmap) and with Go.
 *
 * All words are little-endian, naturally aligned, reserved fields are zero.
 * A remote reader trusts none of it: it copies once, then validates the copy.
 * Each shared word has ONE writer, named beside it: M the monitor, T the target.
 * No protocol here needs an atomic read-modify-write over the wire (rxe atomics
 * are plain load and store).
 */
#ifndef LAZYSTATE_UAPI_BACKDOOR_H
#define LAZYSTATE_UAPI_BACKDOOR_H

#include <linux/types.h>
#include <linux/ioctl.h>

#define BD_VERSION_MAJOR	1
#define BD_VERSION_MINOR	0

#define BD_ROOT_MAGIC		0x31524f4f44425a4cULL	/* "LZBDOOR1" */
#define BD_TABLE_MAGIC		0x31454c4241544442ULL	/* "BDTABLE1" */
#define BD_MANIFEST_MAGIC	0x3146494e414d4442ULL	/* "BDMANIF1" */
#define BD_SBOX_MAGIC		0x31584f42534e4553ULL	/* "SENSBOX1" */
#define BD_UIDS_MAGIC		0x3153444955534442ULL	/* "BDSUIDS1" */
#define BD_LOCK_MAGIC		0x314b434f4c4f4442ULL	/* "BDOLOCK1" */
#define BD_USERS_MAGIC		0x3153524553554442ULL	/* "BDUSERS1" */
#define BD_PANIC_MAGIC		0x3143494e41504442ULL	/* "BDPANIC1" */

#define BD_MONITORS		8	/* monitor slots, DECISION 16 */
#define BD_MAX_CPUS		256
#define BD_MAX_REGIONS		42	/* the table fits a page */
#define BD_REGION_NAME		24
#define BD_KILL_SLOTS		1024	/* per monitor slot */
#define BD_KNOB_SLOTS		8	/* per monitor slot */
#define BD_FOREIGN_MAX		64
#define BD_USER_PAGES		16	/* user sensor pages, one per fd */
#define BD_UIDS_MAX		127

/*
 * Root. I-NIC: at offset 0 of the ivshmem BAR (T writes; magic last, with a
 * release). RDMA: inside struct bd_grant of bd_rdma.h.
 */
struct bd_root {
	__u64 magic;
	__u16 major;
	__u16 minor;
	__u32 size;		/* sizeof(struct bd_root) */
	__u8  boot_id[16];	/* random at every load */
	__u64 generation;	/* of the region table; 0: withdrawn */
	__u64 table_addr;	/* as the address of a region, see below */
	__u64 table_gpa;	/* guest physical, for the I-NIC */
	__u32 table_len;
	__u32 table_key;
};

/* ---- regions ----------------------------------------------------------- */

enum bd_region_kind {
	BD_KIND_TABLE = 1,	/* this table */
	BD_KIND_MANIFEST = 2,
	BD_KIND_SENSORBOX = 3,
	BD_KIND_USER_SENSORS = 4,
	BD_KIND_UIDS = 5,
	BD_KIND_MEMORY = 6,	/* a range of RAM in the direct map; read-only */
	BD_KIND_LOCK_REQ = 7,	/* written by M */
	BD_KIND_LOCK_ACK = 8,
	BD_KIND_KILL_REQ = 9,	/* written by M */
	BD_KIND_KILL_ACK = 10,
	BD_KIND_KNOB_REQ = 11,	/* written by M */
	BD_KIND_KNOB_ACK = 12,
	BD_KIND_FENCE = 13,	/* written by M; only with allow_fence=1 */
	BD_KIND_PANIC = 14,
	BD_KIND_FOREIGN = 15,
	BD_KIND_DEVICE = 16,	/* MMIO or framebuffer, section 3.3 */
	BD_KIND_BOXES = 17,	/* continuation boxes (SALVAGE) */
	BD_KIND_OWNER_REQ = 18,	/* written by M; this and what follows: bd_rdma.h */
	BD_KIND_OWNER_ACK = 19,
	BD_KIND_PROPOSALS = 20,	/* written by M */
	BD_KIND_PROPOSAL_ACK = 21,
	BD_KIND_HELLO = 22,	/* no regions: kinds in tags */
	BD_KIND_DENIAL = 23,
	BD_KIND_GRANT = 24,
};

#define BD_PERM_READ	1u
#define BD_PERM_WRITE	2u
#define BD_PERM_ATOMIC	4u

/*
 * addr is what a remote operation names (kernel virtual address; the iova of
 * an RDMA registration). The I-NIC reaches addr+x at guest physical gpa+x.
 */
struct bd_region {
	char  name[BD_REGION_NAME];	/* NUL terminated */
	__u32 kind;
	__u32 perm;
	__u64 addr;
	__u64 len;
	__u64 gpa;
	__u32 key;
	__u32 flags;
	__u64 generation;
	__u8  boot_id[16];
};

#define BD_REGION_MMIO	1u	/* gpa is not RAM: it lies in a device BAR */
#define BD_REGION_BAR	2u	/* the I-NIC's own register BAR; addr is the offset in it */

struct bd_table {
	__u64 magic;
	__u32 count;
	__u32 entry_size;
	__u64 generation;
	__u8  boot_id[16];
	__u64 reserved;
	struct bd_region regions[BD_MAX_REGIONS];
};

/* ---- manifest: an extensible list of tagged entries --------------------- */

enum bd_manifest_tag {
	BD_TAG_END = 0,
	BD_TAG_STRING = 1,	/* struct bd_entry_head, then len bytes of text */
	BD_TAG_VALUE = 2,	/* struct bd_entry_value */
	BD_TAG_OFFSET = 3,	/* struct bd_entry_offset: "task_struct.pid" */
};

#define BD_ENTRY_NAME	48

struct bd_manifest {
	__u64 magic;
	__u32 len;		/* bytes of entries that follow */
	__u32 count;
	__u32 crc32;		/* IEEE, over the entries */
	__u32 crc32_next;	/* as they are, or will be, if a change is under way */
	__u8  boot_id[16];
	__u64 generation;
};

/* Unknown tags are skipped by their length. size: whole entry, multiple of 8. */
struct bd_entry_head {
	__u32 tag;
	__u32 size;
	char  name[BD_ENTRY_NAME];
};

struct bd_entry_value {
	struct bd_entry_head head;
	__u64 value;
};

struct bd_entry_offset {
	struct bd_entry_head head;
	__u32 offset;		/* bytes; a bit field: of its storage unit */
	__u32 bytes;		/* sizeof the member; 0: offset is a sizeof */
};

/* ---- Sensor Box, section 3.4 -------------------------------------------- */

enum bd_class {
	BD_PROGRESS = 1,	/* V did not change within L */
	BD_LEVEL = 2,		/* V > L, or V < L with BD_SENSOR_MIN */
	BD_PRESSURE = 3,	/* V > L (events) */
};

#define BD_SENSOR_MIN		1u	/* level: L is a minimum */
#define BD_SENSOR_CLOCK		2u	/* progress: driven by a clock, not activity */
#define BD_SENSOR_ORPHANED	4u	/* its fd closed without a release */
#define BD_SENSOR_USER		8u	/* made through /dev/backdoor: informative */
#define BD_SENSOR_HEARTBEAT	16u	/* the user-space heartbeat */

#define BD_SENSOR_NAME	24
#define BD_SENSOR_UNIT	8

/* L of a progress sensor is a deadline in microseconds. */
struct bd_sensor {
	__u32 id;		/* 0: free; T writes it last */
	__u8  class;
	__u8  reserved8;
	__u16 flags;
	__u64 limit;		/* L; 0: no threshold (informative) */
	__u64 value;		/* V; one aligned store updates it */
	char  name[BD_SENSOR_NAME];
	char  unit[BD_SENSOR_UNIT];
	__u64 reserved;
};

struct bd_sbox {
	__u64 magic;
	__u16 major;
	__u16 minor;
	__u32 capacity;		/* records that follow */
	__u32 count;		/* highest used record + 1 */
	__u32 record_size;
	__u64 generation;	/* rises at every create and release */
	__u8  boot_id[16];
	__u64 mono_ns;		/* ktime_get at the last tick of CPU tick_cpu */
	__u32 hz;
	__u32 ncpus;		/* online */
};

#define BD_SBOX_PAGES	4
#define BD_SBOX_CAPACITY ((BD_SBOX_PAGES * 4096 - 64) / 64)

/*
 * Sensors of user space: a page of T's own, then a page per fd that its owner
 * maps. The owner can write anything there, so T says beside it whose page it
 * is and which of its records are sensors, orphans or the heartbeat.
 */
struct bd_user_page {
	__u64 generation;	/* rises whenever a word of this entry changes */
	__u64 used;		/* bit i: record i of the page is a sensor */
	__u64 orphaned;
	__u64 heartbeat;
	__u32 uid;		/* upper half of the ids in the page */
	__u32 reserved;
};

struct bd_user_dir {
	__u64 magic;
	__u64 reserved;
	struct bd_user_page page[BD_USER_PAGES];
};

#define BD_USER_CAPACITY	64	/* records of a page; no header */
#define BD_USER_REGION_PAGES	(1 + BD_USER_PAGES)

/* Who: beside the box, a scalar does not say. T's census thread writes. */
struct bd_uid {
	__u32 uid;
	__u32 tasks;		/* user threads */
	__u32 procs;		/* thread groups */
	__u32 forks_per_s;
	__u64 footprint;	/* pages: rss + swap + page tables */
	__u64 forks;		/* total since load */
};

struct bd_uids {
	__u64 magic;
	__u32 count;
	__u32 overflow;		/* uids that found no place */
	__u64 seq;		/* odd while T writes */
	__u64 mono_ns;
	struct bd_uid uid[BD_UIDS_MAX];
};

/* ---- foreign words: published, never dereferenced (DECISION 11b) -------- */

struct bd_foreign {
	char  name[40];
	__u64 addr;		/* kernel virtual address */
	__u32 size;
	__u32 flags;		/* 1: per-CPU offset, 2: sum over CPUs */
};

/* ---- authentication (DECISION 15) --------------------------------------- */

/*
 * tag = SipHash-2-4(key of the monitor slot, boot_id || kind (u32, of the
 * region) || index (u32) || the bytes of the record before its tag).
 * seq rises with every record a monitor sends to a target; T keeps the
 * highest per monitor and area, and refuses what is not above it.
 * index is the last subscript: the monitor slot in lock and fence areas, i of
 * slot[monitor][i] in those of kills and knobs.
 */

/* ---- remote OS lock, section 3.9.1 ---------------------------------------- */

enum bd_lock_want { BD_WANT_FREE = 0, BD_WANT_LOCK = 1 };

#define BD_LOCK_NMI	1u	/* NMI may be used for CPUs that do not answer */
#define BD_LOCK_SPARE	2u	/* leave nic_cpu running (rxe); of a fence: silent */
#define BD_LOCK_DRAIN	4u	/* wait up to drain_ms for CPUs inside the kernel */

/* M writes body (all but commit), then commit = (u32)seq in a second write. */
struct bd_lock_req {
	__u32 want;
	__u32 epoch;		/* M's own count of acquisitions */
	__u32 lease_ms;		/* 1..60000; a renewal is a new record, same epoch */
	__u32 drain_ms;
	__u32 flags;
	__u32 monitor;		/* slot */
	__u64 seq;
	__u64 tag;
	__u32 commit;
	__u32 reserved[5];
};

struct bd_lock_reqs { struct bd_lock_req slot[BD_MONITORS]; };

enum bd_lock_state {
	BD_LOCK_FREE = 0,
	BD_LOCK_STOPPING = 1,	/* waiting for CPUs */
	BD_LOCK_HELD = 2,
	BD_LOCK_FENCED = 4,	/* for good */
};

enum bd_cpu_where {
	BD_CPU_OFFLINE = 0,
	BD_CPU_RUNNING = 1,	/* not caught (free, or does not answer) */
	BD_CPU_USER = 2,
	BD_CPU_IDLE = 3,
	BD_CPU_KERNEL = 4,
	BD_CPU_NMI_USER = 5,
	BD_CPU_NMI_KERNEL = 6,	/* caught by NMI, interrupts enabled */
	BD_CPU_NMI_IRQOFF = 7,
	BD_CPU_SILENT = 8,	/* spared by a fence: sends the carrier's frames alone */
};

enum bd_lock_refusal {
	BD_REFUSE_NONE = 0,
	BD_REFUSE_TAG = 1,
	BD_REFUSE_SEQ = 2,
	BD_REFUSE_BUSY = 3,	/* another monitor holds it */
	BD_REFUSE_LEASE = 4,	/* out of bounds */
	BD_REFUSE_NOKEY = 5,
	BD_REFUSE_FENCED = 6,
	BD_REFUSE_NOTALLOWED = 7,
};

struct bd_lock_cpu {
	__u8  where;		/* enum bd_cpu_where */
	__u8  drained;		/* in user or idle when it stopped */
	__u16 reserved;
	__u32 epoch_lo;
};

/* T writes. seq is a sequence count: odd while T writes. */
struct bd_lock_ack {
	__u64 magic;
	__u32 seq;
	__u32 state;
	__u32 holder;		/* monitor slot; valid unless FREE */
	__u32 epoch;		/* of the holder */
	__u32 drained;		/* 1: no CPU was left inside the kernel */
	__u32 ncpus;		/* records that count: up to the last online CPU */
	__u64 grants;		/* since load */
	__u64 expired;		/* leases that ran out */
	__u64 since_ns;		/* ktime when the state was entered; FENCED: or the masks changed */
	__u64 lease_end_ns;
	__u64 now_ns;		/* ktime at the last scan */
	__u64 parked[4], ipi[4], nmi[4], free[4];	/* CPU masks; parked: silent */
	__u32 refusal[BD_MONITORS];	/* last enum bd_lock_refusal */
	__u64 refused_seq[BD_MONITORS];
	__u64 accepted_seq[BD_MONITORS];
	struct bd_lock_cpu cpu[BD_MAX_CPUS];
};

/* ---- signal hooks --------------------------------------------------------- */

/*
 * M writes count bodies, then (second write) the post word of its slot:
 * {count, (u32)batch seq}. Every record of the batch carries seq == batch.
 * T answers in results[monitor][i] with the same seq, then in post_ack.
 */
struct bd_kill_slot {
	__u64 start_time;	/* task_struct.start_time of the leader, ns */
	__u32 pid;		/* tgid in the initial pid namespace */
	__u32 signal;
	__u64 seq;
	__u64 tag;
};

#define BD_POST_COUNT(w)	((__u32)(w))
#define BD_POST_SEQ(w)		((__u32)((w) >> 32))

struct bd_kill_reqs {
	__u64 post[BD_MONITORS];
	struct bd_kill_slot slot[BD_MONITORS][BD_KILL_SLOTS];
};

enum bd_result {
	BD_RES_NONE = 0,
	BD_RES_DONE = 1,	/* signal sent / knob set */
	BD_RES_ESRCH = 2,	/* gone */
	BD_RES_REUSED = 3,	/* pid now names a younger process */
	BD_RES_KTHREAD = 4,
	BD_RES_INIT = 5,	/* init or a container's init */
	BD_RES_TAG = 6,
	BD_RES_SEQ = 7,
	BD_RES_NOTALLOWED = 8,
	BD_RES_RANGE = 9,	/* bad signal, knob or value */
	BD_RES_ERROR = 10,	/* errno in value */
	BD_RES_NOKEY = 11,
	BD_RES_QUEUED = 12,	/* soft hook: handed to the kthread */
	BD_RES_DEFERRED = 13,	/* a CPU is held by NMI: runs at release */
};

struct bd_kill_result {
	__u32 seq_lo;
	__u32 result;
};

struct bd_kill_acks {
	__u64 post_ack[BD_MONITORS];	/* copy of the post word when all is done */
	struct bd_kill_result result[BD_MONITORS][BD_KILL_SLOTS];
	__u64 accepted_seq[BD_MONITORS];	/* highest; before post_ack */
};

/* ---- knob hooks: typed and bounded ------------------------------------------ */

enum bd_knob {
	BD_KNOB_OVERCOMMIT_MEMORY = 1,	/* value 0..2 */
	BD_KNOB_THREADS_MAX = 2,	/* value 64..4194304 */
	BD_KNOB_UID_NPROC = 3,		/* arg uid, value 0..4194304 */
	BD_KNOB_NICE = 4,		/* arg pid, start_time, value -20..19 */
	BD_KNOB_SCHED_NORMAL = 5,	/* arg pid, start_time, value nice */
	BD_KNOB_SCHED_FIFO = 6,		/* arg pid, start_time; lowest priority */
	BD_KNOB_POWEROFF = 7,		/* value 1: forced */
	BD_KNOB_REBOOT = 8,		/* value 1: forced, from hard interrupt */
	BD_KNOB_CRASH_KEXEC = 9,	/* panic into the preloaded kernel, hard */
	BD_KNOB_PID_MAX = 10,		/* value 301..4194304 */
	BD_KNOB_DROP_CACHES = 11,	/* value 1..3 */
	BD_KNOB_SWAPPINESS = 12,	/* value 0..200 */
};

/* M writes body, then commit = (u32)seq. */
struct bd_knob_slot {
	__u32 knob;
	__u32 arg;		/* uid or pid */
	__s64 value;
	__u64 start_time;	/* with a pid */
	__u64 seq;
	__u64 tag;
	__u32 commit;
	__u32 reserved[5];
};

struct bd_knob_reqs { struct bd_knob_slot slot[BD_MONITORS][BD_KNOB_SLOTS]; };

struct bd_knob_result {
	__u32 seq_lo;
	__u32 result;
	__s64 value;		/* value before, or -errno with BD_RES_ERROR */
};

struct bd_knob_acks {
	struct bd_knob_result result[BD_MONITORS][BD_KNOB_SLOTS];
	__u64 accepted_seq[BD_MONITORS];	/* highest */
};

/* ---- panic stamp ------------------------------------------------------------ */

enum bd_panic_cause { BD_PANIC_NONE = 0, BD_PANIC_PANIC = 1, BD_PANIC_OOPS = 2 };

struct bd_panic {
	__u64 magic;
	__u32 cause;		/* T writes it last */
	__u32 cpu;
	__u64 mono_ns;
	__u64 jiffies;
	char  text[224];
};

/* ---- /dev/backdoor ---------------------------------------------------------- */

struct bd_ioc_version { __u16 major, minor; __u32 flags; __u8 boot_id[16]; __u64 generation; };

struct bd_ioc_sensor {
	__u32 version;		/* BD_VERSION_MAJOR */
	__u32 id;		/* in: 16 low bits; out: uid << 16 | id */
	__u8  class;
	__u8  reserved8;
	__u16 flags;
	__u32 offset;		/* out: of the value word in the mmapped page */
	__u64 limit;
	char  name[BD_SENSOR_NAME];
	char  unit[BD_SENSOR_UNIT];
};

struct bd_ioc_key {		/* CAP_SYS_ADMIN; bound to this boot id */
	__u32 version;
	__u32 monitor;
	__u8  key[16];
	__u32 revoke;
	__u32 reserved;
};

struct bd_ioc_foreign { __u32 version, reserved; struct bd_foreign word; };	/* CAP_SYS_ADMIN */

#define BD_IOC_MAGIC	0xBD
#define BD_IOC_VERSION		_IOR(BD_IOC_MAGIC, 0, struct bd_ioc_version)
#define BD_IOC_NEW_SENSOR	_IOWR(BD_IOC_MAGIC, 1, struct bd_ioc_sensor)
#define BD_IOC_RELEASE_SENSOR	_IOW(BD_IOC_MAGIC, 2, __u32)
#define BD_IOC_SET_KEY		_IOW(BD_IOC_MAGIC, 3, struct bd_ioc_key)
#define BD_IOC_ADD_FOREIGN	_IOW(BD_IOC_MAGIC, 4, struct bd_ioc_foreign)
#define BD_IOC_ADOPT_SENSOR	_IOWR(BD_IOC_MAGIC, 5, struct bd_ioc_sensor)	/* re-own an orphan of the same uid */

#endif
