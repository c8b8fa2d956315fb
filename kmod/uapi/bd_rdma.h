/* SPDX-License-Identifier: (GPL-2.0 WITH Linux-syscall-note) OR Apache-2.0 */
/*
 * bd_rdma.h - how a monitor connects to backdoor_rdma.ko, what each monitor
 * may do, who of them owns the repair of a target, and the areas in which they
 * ask for writes that several must agree on (section 3.8).
 *
 * The rules of backdoor.h hold: little-endian, aligned, one writer per word.
 */
#ifndef LAZYSTATE_UAPI_BD_RDMA_H
#define LAZYSTATE_UAPI_BD_RDMA_H

#include "backdoor.h"

/* ---- connecting: private data of the CM's messages ------------------------ */

#define BD_RDMA_PORT		7777	/* RDMA_PS_TCP; parameter port */
#define BD_HELLO_MAGIC		0x494c4548u	/* "HELI" */
#define BD_DENIAL_MAGIC		0x594e4544u	/* "DENY" */
#define BD_GRANT_MAGIC		0x4e415247u	/* "GRAN" */

#define BD_HELLO_MAX		56	/* what a REQ carries for RDMA_PS_TCP */
#define BD_DENIAL_MAX		148	/* a REJ */
#define BD_GRANT_MAX		196	/* a REP */

#define BD_HELLO_TAKEOVER	1u	/* revoke this monitor's other grants first */

/*
 * Private data of the REQ. tag as in backdoor.h: kind BD_KIND_HELLO, index =
 * monitor. It is bound to the boot id, so that no hello of an earlier boot
 * counts; a monitor that does not know it sends zeroes and is told by the
 * denial. counter rises with every hello of a monitor to one boot of a target.
 */
struct bd_hello {
	__u32 magic;
	__u16 major;
	__u16 minor;
	__u32 monitor;		/* slot */
	__u32 flags;		/* BD_HELLO_* */
	__u32 join;		/* grant whose keys this QP shares; 0: a grant of its own */
	__u32 reserved;
	__u8  boot_id[16];
	__u64 counter;
	__u64 tag;
};

enum bd_denial_reason {
	BD_DENY_MALFORMED = 1,	/* length, magic, reserved fields, monitor slot */
	BD_DENY_VERSION = 2,	/* major and minor say what is spoken here */
	BD_DENY_BOOTID = 3,	/* not this boot: ask again with the boot id below */
	BD_DENY_NOKEY = 4,	/* the slot has no key */
	BD_DENY_TAG = 5,
	BD_DENY_COUNTER = 6,	/* not above highest */
	BD_DENY_FULL = 7,	/* too many grants, or QPs of one grant */
	BD_DENY_JOIN = 8,	/* no such grant of this monitor on this device */
	BD_DENY_POLICY = 9,	/* this monitor may read nothing */
	BD_DENY_CLOSED = 10,	/* the module is about to go, or out of resources */
};

/*
 * Private data of the REJ (reason: consumer defined). Whoever knows the slot's
 * key checks tag (kind BD_KIND_DENIAL, index = monitor); 0: the slot has none.
 */
struct bd_denial {
	__u32 magic;
	__u16 major;
	__u16 minor;
	__u32 reason;		/* enum bd_denial_reason */
	__u32 monitor;		/* of the hello */
	__u8  boot_id[16];
	__u64 counter;		/* of the hello that is denied */
	__u64 highest;		/* counter taken from this monitor */
	__u64 tag;
};

#define BD_GRANT_LOCK		1u	/* this monitor may lock */
#define BD_GRANT_SOFTWARE	2u	/* a CPU of the target answers (rxe): lock with BD_LOCK_SPARE */
#define BD_GRANT_ATOMIC		4u	/* atomics are atomic against the target's CPUs too */
#define BD_GRANT_CUTS_PORT	8u	/* a fence cuts the target off its network, whatever its CPUs do */

/*
 * Private data of the REP. root lies at root_addr too, readable with root_key,
 * and T keeps that one current. Its table is this grant's own: regions that the
 * monitor may not touch are missing, addr and key count in this grant alone.
 * tag: kind BD_KIND_GRANT, index = monitor. It covers counter, so that a
 * recorded grant is no answer to a new hello.
 */
struct bd_grant {
	__u32 magic;
	__u16 major;
	__u16 minor;
	__u32 flags;		/* BD_GRANT_* */
	__u32 monitor;
	__u64 counter;		/* of the hello */
	__u32 grant;		/* its number, for join; never 0 */
	__u32 nic_cpu;		/* the CPU that BD_LOCK_SPARE leaves alone */
	__u64 read;		/* bit k: regions of kind k are readable */
	__u64 write;
	__u64 root_addr;
	__u32 root_len;
	__u32 root_key;
	struct bd_root root;
	__u64 tag;
};

/* ---- who owns the repair of this target ------------------------------------ */

#define BD_OWNER_MAGIC		0x31524e574f444253ULL	/* "SBDOWNR1" */
#define BD_OWNER_NONE		0xffffffffu

enum bd_owner_want { BD_OWNER_GIVE = 0, BD_OWNER_TAKE = 1 };

/*
 * Region BD_KIND_OWNER_REQ. M writes the body, then commit = (u32)seq. A new
 * owner's epoch is above the last one's, and the last one gave it up or its
 * lease ended; a renewal repeats the epoch. While somebody owns the target,
 * lock, fence, kill and knob records of others are refused.
 */
struct bd_owner_req {
	__u32 want;
	__u32 epoch;
	__u32 lease_ms;		/* 100..3600000 */
	__u32 monitor;		/* slot */
	__u64 seq;
	__u64 tag;
	__u32 commit;
	__u32 reserved[7];
};

struct bd_owner_reqs {
	struct bd_owner_req slot[BD_MONITORS];
};

enum bd_owner_refusal {
	BD_OWN_NONE = 0,
	BD_OWN_TAG = 1,
	BD_OWN_SEQ = 2,
	BD_OWN_NOKEY = 3,
	BD_OWN_HELD = 4,	/* somebody's lease runs */
	BD_OWN_EPOCH = 5,	/* not above the last one */
	BD_OWN_LEASE = 6,	/* out of bounds, or unknown want */
	BD_OWN_NOTALLOWED = 7,
};

/* Region BD_KIND_OWNER_ACK; T writes. seq is odd while it does. */
struct bd_owner_ack {
	__u64 magic;
	__u32 seq;
	__u32 owner;		/* monitor slot or BD_OWNER_NONE */
	__u32 epoch;		/* of the owner, or of the last one */
	__u32 reserved;
	__u64 lease_end_ns;
	__u64 since_ns;
	__u64 now_ns;		/* ktime at the last scan */
	__u64 changes;		/* acquisitions since load */
	__u32 refusal[BD_MONITORS];	/* last enum bd_owner_refusal */
	__u64 refused_seq[BD_MONITORS];
	__u64 accepted_seq[BD_MONITORS];
};

/* ---- proposals: writes that several monitors must agree on ------------------ */

#define BD_PROPOSALS		4	/* per monitor slot */
#define BD_PROPOSAL_DATA	4048

/*
 * Region BD_KIND_PROPOSALS, a page each, in areas per monitor. M writes the
 * head and len bytes of data, then commit = (u32)seq. tag, over the 32 bytes
 * before it and then data[0..len): kind BD_KIND_PROPOSALS, index = i of
 * slot[monitor][i].
 *
 * kind and index say what is asked for: the hook, and (kills, knobs) the first
 * slot. data is what stands there before seq and monitor, which differ between
 * monitors, so that proposals can be compared byte by byte:
 *   BD_KIND_KILL_REQ  n x {start_time, pid, signal}	16 bytes each
 *   BD_KIND_KNOB_REQ  {knob, arg, value, start_time}	24 bytes
 *   BD_KIND_LOCK_REQ  {want, epoch, lease_ms, drain_ms, flags}	20 bytes
 *   BD_KIND_FENCE     {want, epoch, heir, drain_ms, flags}	20 bytes
 * The lock is then held in the name of the monitor that asked first.
 */
struct bd_proposal {
	__u32 monitor;
	__u32 kind;		/* enum bd_region_kind of the hook */
	__u32 index;
	__u32 len;
	__u32 epoch;		/* of the owner whose repair this is; 0: there is none */
	__u32 reserved;
	__u64 seq;
	__u64 tag;
	__u8  data[BD_PROPOSAL_DATA];
	__u32 commit;
	__u32 reserved2;
};

struct bd_proposals {
	struct bd_proposal slot[BD_MONITORS][BD_PROPOSALS];
};

enum bd_proposal_state {
	BD_PROP_NONE = 0,
	BD_PROP_PENDING = 1,	/* waits for others */
	BD_PROP_DONE = 2,	/* agreed and carried out: result[] or value say how */
	BD_PROP_EXPIRED = 3,	/* the window closed before enough agreed */
	BD_PROP_DISAGREED = 4,	/* others ask for other bytes there: nothing is written */
	BD_PROP_TAG = 5,
	BD_PROP_SEQ = 6,
	BD_PROP_NOKEY = 7,
	BD_PROP_EPOCH = 8,	/* not the epoch of the owner */
	BD_PROP_RANGE = 9,	/* kind, index, len or content */
	BD_PROP_NOTALLOWED = 10,
	BD_PROP_REPLACED = 11,	/* by a newer one in the same slot */
};

/* T writes; seq_lo last. */
struct bd_proposal_ack {
	__u32 seq_lo;
	__u32 state;		/* enum bd_proposal_state */
	__u32 agreed;		/* mask of the monitors that ask for the same */
	__u32 needed;		/* k */
	__u64 decided_ns;
	__s64 value;		/* of a knob: before, or -errno */
	__u32 count;		/* of results */
	__u32 reserved;
	__u8  result[256];	/* enum bd_result; of a lock: enum bd_lock_refusal */
};

/* Region BD_KIND_PROPOSAL_ACK. */
struct bd_proposal_acks {
	__u64 agreements;	/* carried out since load */
	__u64 disagreements;
	__u64 expired;
	__u64 now_ns;
	struct bd_proposal_ack slot[BD_MONITORS][BD_PROPOSALS];
};

/* ---- /dev/backdoor: CAP_SYS_ADMIN ------------------------------------------- */

#define BD_POLICY_LOCK		1u	/* may hold the repair lock */
#define BD_POLICY_FENCE		2u
#define BD_POLICY_OWN		4u	/* may own the target */
#define BD_POLICY_ALL		7u

/* What a monitor may do; without one: all that the region table says. */
struct bd_ioc_policy {
	__u32 version;
	__u32 monitor;
	__u64 read;		/* bit k: regions of kind k */
	__u64 write;		/* of what the region table has writable */
	__u32 flags;		/* BD_POLICY_* */
	__u32 reserved;
};

/* k of the voters must propose a write to this hook; k below 2: no agreement. */
struct bd_ioc_agreement {
	__u32 version;
	__u32 kind;		/* LOCK_REQ, FENCE, KILL_REQ or KNOB_REQ */
	__u32 k;
	__u32 voters;		/* mask of monitor slots */
	__u32 window_ms;	/* 10..60000 */
	__u32 reserved;
};

/* After it policies, agreements and keys stay as they are, but for revocations. */
struct bd_ioc_seal {
	__u32 version;
	__u32 reserved;
};

#define BD_IOC_SET_POLICY	_IOW(BD_IOC_MAGIC, 6, struct bd_ioc_policy)
#define BD_IOC_SET_AGREEMENT	_IOW(BD_IOC_MAGIC, 7, struct bd_ioc_agreement)
#define BD_IOC_SEAL		_IOW(BD_IOC_MAGIC, 8, struct bd_ioc_seal)

#endif
