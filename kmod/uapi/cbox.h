/* SPDX-License-Identifier: (GPL-2.0 WITH Linux-syscall-note) OR Apache-2.0 */
/*
 * cbox.h - the layout of a continuation box: all that has to be known of one
 * client session in order to go on with it elsewhere (section 2.4.2, Figure 2.3).
 *
 * A box is memory that the processes of the session share with whoever keeps
 * it: a memfd sealed against growing and shrinking, or an open file of
 * /dev/backdoor (bd_box.h). It outlives its processes, and in the second case their
 * kernel. Nothing in it is a pointer: every area is an offset from the start of
 * the box and a length.
 *
 * All words are little-endian, naturally aligned, reserved fields are zero. Each
 * word that changes has ONE writer at a time, named beside it: P a process of
 * the session, R its root process, K the keeper (scd, or whoever moves the
 * session). A reader trusts none of it: it copies once, then checks the copy.
 * For the reader of a dead kernel's memory that is all there is; words marked
 * *hint* may lag behind the truth by what the last system call did.
 *
 * Positions are offsets from the first byte of a stream, 64 bits, from accept
 * on, and go on counting when the session moves.
 */
#ifndef LAZYSTATE_UAPI_CBOX_H
#define LAZYSTATE_UAPI_CBOX_H

#include <linux/types.h>

#define BD_CBOX_MAGIC		0x31584f42544e4f43ULL	/* "CONTBOX1" */
#define BD_CBOX_MAJOR		1
#define BD_CBOX_MINOR		0

/* What a reader has to expect at most. */
#define BD_CBOX_LEN_MAX		(1u << 30)
#define BD_CBOX_HEAD_MAX	65536
#define BD_CBOX_PROCS_MAX	64
#define BD_CBOX_CHANS_MAX	128
#define BD_CBOX_OPTS_MAX	64
#define BD_CBOX_ACTS_MAX	128

/* What a listener gets that asks for nothing else. */
#define BD_CBOX_SNAP_LEN	4096	/* each of two */
#define BD_CBOX_RING_LEN	16384	/* receive ring, hold, and each channel */
#define BD_CBOX_OPTS		16
#define BD_CBOX_ACTS		32

#define BD_CBOX_NONE		0xffffffffu
#define BD_CBOX_NAME		24

struct bd_cbox_area {
	__u64 off;
	__u64 len;
};

/* count entries of size bytes each, inside the first head_len bytes. */
struct bd_cbox_table {
	__u32 off;
	__u16 count;
	__u16 size;
};

struct bd_cbox_addr {
	__u16 family;		/* AF_INET, AF_INET6 */
	__u16 port;
	__u32 scope;		/* of a link-local address */
	__u8  addr[16];
};

enum bd_cbox_state {
	BD_CBOX_NEW = 0,	/* being made */
	BD_CBOX_LIVE = 1,
	BD_CBOX_LEAVING = 2,	/* K takes the session's state: wait */
	BD_CBOX_MIGRATED = 3,	/* it is elsewhere; EMIGRATED from now on */
	BD_CBOX_CLOSED = 4,	/* R has closed it: no process is to resume it */
};

/*
 * At offset 0. The first part is written once, by whoever makes the box, magic
 * last. crc is a CRC-32C over what stands before it, with magic in place.
 */
struct bd_cbox_head {
	__u64 magic;
	__u16 major;
	__u16 minor;
	__u32 head_len;		/* this and the tables; <= BD_CBOX_HEAD_MAX */
	__u64 len;		/* of the box */
	__u8  session[16];	/* random; stays the same wherever the session goes */
	__u64 generation;	/* 1 where it was accepted, one more with each move */
	struct bd_cbox_table procs;	/* struct bd_cbox_proc; 0 is the root */
	struct bd_cbox_table chans;	/* struct bd_cbox_chan */
	struct bd_cbox_table opts;	/* struct bd_cbox_opt */
	struct bd_cbox_table acts;	/* struct bd_cbox_act */
	struct bd_cbox_area log;	/* receive ring */
	struct bd_cbox_area hold;	/* output that waits for an export */
	struct bd_cbox_addr local;	/* the connection, as accepted here */
	struct bd_cbox_addr remote;
	__u32 flags;
	__u32 crc;

	__u32 state;		/* enum bd_cbox_state; a futex; K, and R to CLOSED */
	__u32 actions;		/* R: actions on the socket ever, struct bd_cbox_act */
	__u64 exports;		/* P: exports of all processes; a fetch-and-add */
	/*
	 * K, before the state is LIVE: what to add to the kernel's counts of
	 * this socket for a position. read = bytes_received - unread + read_base,
	 * written = bytes_acked + unacked + write_base, without FINs.
	 */
	__u64 read_base;
	__u64 write_base;
	__u32 up_first;		/* K: sequence numbers of byte 0 from and to the */
	__u32 down_first;	/* client, valid with BD_CBOX_NUMBERED */
	__u32 numbered;
	__u32 reserved;
	__u64 read;		/* R, hint: read from the socket */
	__u64 written;		/* R, hint: written to it */
	/*
	 * K: it came out of a dead machine's memory, and may be what kills machines
	 * (section 3.6.3). Over when each of its processes has exported behind tried,
	 * or when K has seen enough and stores 0.
	 */
	__u32 trial;
	__u32 reserved2;
	__u64 tried;		/* K: exports when it came */
	__u64 reserved3;
};

#define BD_CBOX_NUMBERED	1u

#define BD_CBOX_TRIAL		1u
#define BD_CBOX_TRIAL_AGAIN	2u	/* it was on trial already when a machine died */

/* ---- processes ------------------------------------------------------------- */

/*
 * A process that adds another takes a free slot, and free channels, by a
 * compare-and-swap of their states to BD_CBOX_CLAIM(its own slot), fills them
 * in and stores the state last. What it has claimed when it dies is free again
 * for whoever takes over its slot; to all others it is as good as free.
 */
#define BD_CBOX_CLAIMED		0x100u
#define BD_CBOX_CLAIM(s)	(BD_CBOX_CLAIMED | (s))

enum bd_cbox_proc_state {
	BD_CBOX_PROC_FREE = 0,
	BD_CBOX_PROC_JOINED = 1,	/* associated; nobody has opened it here yet */
	BD_CBOX_PROC_LIVE = 2,
	BD_CBOX_PROC_DONE = 3,		/* has said goodbye: not to be resumed */
};

/*
 * A slot. busy and owner are the fence between P and whoever takes its place
 * or the whole session: P puts its owner number into busy by a compare-and-swap,
 * over 0 or, while it is the owner, over what a former one has left there; then it
 * looks at head.state and owner. Only if they are LIVE and its own does it touch
 * socket, rings and snapshots, by calls that do not block; then it stores busy = 0.
 * If they are not, it takes its number out by a compare-and-swap: another's stays.
 * K stores LEAVING (or another owner) and then waits for busy == 0, or for P's
 * death. Each store is followed by a full barrier.
 */
struct bd_cbox_proc {
	__u64 snap_off;		/* two buffers, one behind the other */
	__u32 snap_len;		/* of each */
	__u32 parent;		/* slot; BD_CBOX_NONE for the root */
	__u32 state;		/* enum bd_cbox_proc_state, or claimed */
	__u32 reserved;
	__u64 pid;		/* P, hint: in its own namespace */
	char  name[BD_CBOX_NAME];	/* its parent, the root's itself; NUL terminated, one's children differ */
	__u64 reserved2;
	__u32 owner;		/* whoever opens the slot: one more each time */
	__u32 busy;		/* P: its owner number while it is inside */
	__u64 reserved3[7];
};

#define BD_CBOX_SNAP_NDI	1u	/* a nondeterministic interval begins */
#define BD_CBOX_SNAP_SHUT	2u	/* the sending half was closed before it */
#define BD_CBOX_SNAP_FINAL	4u	/* written by close: nothing comes after it */

/*
 * Snapshot seq of a process lies in its buffer seq % 2. P stores seq = 0,
 * writes the rest, and stores seq last; K and others take the buffer with the
 * higher seq whose crc is right. What lies behind the head: ends positions,
 * then len bytes of the application's.
 */
struct bd_cbox_snap {
	__u64 seq;		/* 0: none */
	__u32 crc;		/* CRC-32C over number .. data */
	__u32 len;		/* of the data */
	__u64 number;		/* = seq */
	__u64 order;		/* of head.exports: among all processes */
	__u64 lsr;		/* R: the connection's */
	__u64 lsw;
	__u64 log_base;		/* R: byte off of the receive ring lies at (off - log_base) % log.len */
	__u32 actions;		/* R: head.actions at the export */
	__u16 flags;
	__u16 ends;
};

#define BD_CBOX_END_CLOSED	1u	/* the process had closed this end */

/* Where a process was in one channel: lsr if it reads there, lsw if it writes. */
struct bd_cbox_end {
	__u32 chan;
	__u32 flags;
	__u64 pos;
};

/* ---- channels between two processes ---------------------------------------- */

#define BD_CBOX_CHAN_OPEN	1u

/*
 * Byte off lies at off % ring.len, a power of two. The writer may go up to
 * lsr + ring.len: behind it lies the log that a replay of the reader needs. It
 * copies first and stores head last. Who has to sleep stores wait = 1, looks
 * again, and sleeps on the futex (the low half of head or lsr, and head.state);
 * who moves one of them wakes if wait is set, and whoever sleeps looks again now
 * and then, because its waker may die before it wakes.
 */
struct bd_cbox_chan {
	struct bd_cbox_area ring;
	__u32 writer;		/* slots */
	__u32 reader;
	__u32 state;		/* 0, claimed, or BD_CBOX_CHAN_OPEN, stored last */
	__u32 reserved;
	__u64 reserved2[4];

	__u64 head;		/* the writer: bytes passed on to the reader */
	__u32 end;		/* the writer: 1: there will be no more */
	__u32 writer_waits;	/* the writer */
	__u64 reserved3[6];

	__u64 lsr;		/* the reader, hint: the snapshot decides */
	__u64 read;		/* the reader, hint */
	__u32 gone;		/* the reader: 1: will read no more */
	__u32 reader_waits;	/* the reader */
	__u64 reserved4[5];
};

/* ---- what the process did to its socket (section 2.5.3) ---------------------- */

enum bd_cbox_action {
	BD_CBOX_SET_OPTION = 1,
	BD_CBOX_SHUT_READ = 2,
	BD_CBOX_SHUT_WRITE = 3,
	BD_CBOX_CLOSE = 4,
};

#define BD_CBOX_OPT_LEN		16

/*
 * Action n (from 0) lies in entry n % acts.count. R acts, writes it, and stores
 * head.actions = n + 1; each can be done twice, so dying in between does no harm:
 * a replay does again what was not recorded, whoever resumes what was. Those
 * before the last snapshot's actions may be overwritten.
 */
struct bd_cbox_act {
	__u32 number;
	__u16 kind;		/* enum bd_cbox_action */
	__u16 len;
	__s32 level;
	__s32 name;
	__u64 pos;		/* of the stream to the client */
	__u8  value[BD_CBOX_OPT_LEN];
	__u32 crc;		/* CRC-32C over what stands before it */
	__u32 reserved;
};

/* An option in force, but for actions that are still in the table above. */
struct bd_cbox_opt {
	__s32 level;
	__s32 name;
	__u16 len;
	__u16 used;
	__u8  value[BD_CBOX_OPT_LEN];
	__u32 crc;		/* CRC-32C over what stands before it */
};

/* ---- handing a box to another process ---------------------------------------- */

#define BD_CBOX_PASS_MAGIC	0x3153534150584243ULL	/* "CBXPASS1" */
#define BD_CBOX_PASS_CONN	1u	/* the second descriptor is the connection */
#define BD_CBOX_PASS_ALL	2u	/* no box: what waited for the process when it came has been passed */

/* One message over a unix socket; the box's descriptor comes first in SCM_RIGHTS. */
struct bd_cbox_pass {
	__u64 magic;
	__u64 offset;		/* of the box in the descriptor */
	__u64 length;
	__u8  session[16];
	__u64 generation;
	__u32 slot;		/* that the receiver is to open */
	__u32 flags;
};

#endif
