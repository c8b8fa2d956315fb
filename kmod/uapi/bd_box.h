/* SPDX-License-Identifier: (GPL-2.0 WITH Linux-syscall-note) OR Apache-2.0 */
/*
 * bd_box.h - continuation boxes that outlive their kernel (sections 3.5, 3.6).
 *
 * A box (cbox.h says what is in it) is a piece of the module's arena: an open
 * file of /dev/backdoor has one at most, mapped by whoever has the file. It
 * lives as long as the file: through the death of each of its processes while
 * another, or the keeper, has a descriptor or a mapping. Its pages are made when
 * they are touched and never move.
 *
 * The rules of backdoor.h hold: little-endian, aligned, one writer per word.
 */
#ifndef LAZYSTATE_UAPI_BD_BOX_H
#define LAZYSTATE_UAPI_BD_BOX_H

#include "backdoor.h"

#define BD_BOXES_MAGIC		0x3153455842534442ULL	/* "BDSBXES1" */

#define BD_BOX_PROCS		8

/* Page i of the arena lies at this offset of the file and i pages. */
#define BD_BOX_OFFSET		0x10000

struct bd_box_end {
	__u16 family;		/* AF_INET, AF_INET6; never IPv4 mapped into IPv6 */
	__u16 port;
	__u32 scope;		/* of a link-local address */
	__u8  addr[16];
};

enum bd_box_state {
	BD_BOX_FREE = 0,
	BD_BOX_NEW = 1,		/* no socket yet, or no more */
	BD_BOX_BOUND = 2,
};

/*
 * T writes. What stands before more does not change while the state is BOUND;
 * more and procs are words of their own.
 */
struct bd_box {
	__u32 state;		/* enum bd_box_state */
	__u32 uid;		/* who made it */
	__u64 generation;	/* no two boxes of one boot have the same */
	__u32 first;		/* page of the arena */
	__u32 pages;
	/*
	 * struct sock. The module has a reference to it: also after its close
	 * nothing else is at this address.
	 */
	__u64 sock;
	struct bd_box_end local;
	struct bd_box_end remote;
	__u32 netns;		/* inode number of the socket's network namespace */
	/*
	 * Sequence numbers at which the kernel's counts of the socket are 0:
	 * rcv_nxt = rcv_first + bytes_received, snd_una = snd_first + bytes_acked
	 * at every moment at which nobody is changing them.
	 */
	__u32 rcv_first;
	__u32 snd_first;
	__u32 more;		/* processes for which procs has no room */
	/*
	 * Who has it mapped, by tgid in the initial pid namespace; 0: nobody, or
	 * a child that has not touched it yet.
	 */
	__u32 procs[BD_BOX_PROCS];
};

/* Region boxes: this, then capacity entries, then the words of the map. */
struct bd_boxes {
	__u64 magic;
	__u32 entry_size;
	__u32 capacity;
	__u32 slots;		/* pages of the arena */
	__u32 map_off;		/* of the map in the region */
	__u32 boxes;		/* entries in use */
	__u32 touched;		/* pages that there are */
	__u64 generation;	/* of the youngest box */
	__u8  boot_id[16];
	__u64 reserved;
};

/*
 * The map has a word for each page of the arena: its kernel virtual address,
 * as memory regions have it; 0: nobody has touched it, it reads as zeros.
 */

/* ---- /dev/backdoor ---------------------------------------------------------- */

/*
 * Makes the file's box. socket: an established TCP connection, or -1 for one
 * that comes later. offset is where to map it.
 */
struct bd_ioc_box {
	__u32 version;		/* BD_VERSION_MAJOR */
	__s32 socket;
	__u64 length;		/* rounded up to pages */
	__u64 offset;		/* out */
	__u64 generation;	/* out */
};

/* The box's socket from now on; -1: none. */
struct bd_ioc_box_socket {
	__u32 version;
	__s32 socket;
};

#define BD_IOC_NEW_BOX		_IOWR(BD_IOC_MAGIC, 9, struct bd_ioc_box)
#define BD_IOC_BOX_SOCKET	_IOW(BD_IOC_MAGIC, 10, struct bd_ioc_box_socket)
#define BD_IOC_GET_BOX		_IOWR(BD_IOC_MAGIC, 11, struct bd_ioc_box)	/* socket: 0 or 1: is there one */

#endif
