/* SPDX-License-Identifier: (GPL-2.0 WITH Linux-syscall-note) OR Apache-2.0 */
/*
 * scd.h - what a server's process says to the keeper of its sessions (scd), over
 * a unix socket of type SOCK_SEQPACKET: one request, one answer, little-endian,
 * of fixed size. Descriptors come along in SCM_RIGHTS.
 *
 * Sessions that the process is to go on with come over a second socket, whose
 * one end it sends with HELLO: a struct bd_cbox_pass each. The keeper knows who
 * speaks by SO_PEERCRED, and that it died by its pidfd; what it kept goes to
 * another process of the same user that said the same name.
 */
#ifndef LAZYSTATE_UAPI_SCD_H
#define LAZYSTATE_UAPI_SCD_H

#include "cbox.h"

#define BD_SCD_MAGIC		0x3230304443534353ULL	/* "SCSCD002" */

#define BD_SCD_TELL		1u

enum bd_scd_kind {
	/*
	 * First. name: what it serves; descriptors: its bell (an eventfd), the socket for
	 * sessions. slot is 0, or BD_SCD_TELL: the answer's most says how many slots wait
	 * for it, and if there are any a BD_CBOX_PASS_ALL comes behind them.
	 */
	BD_SCD_HELLO = 1,
	/*
	 * A new session, before any of its bytes is read: offset, length; descriptors:
	 * box, connection. Said again of what a process has, to a keeper that was
	 * started anew; slot, and for others than the root's the box alone.
	 */
	BD_SCD_KEEP = 2,
	/*
	 * session, generation: its root has closed it; the box says what is left to do.
	 * ESTALE: the session that is here came back meanwhile, and is none of these.
	 */
	BD_SCD_DONE = 3,
	/*
	 * session, generation, slot: a child was associated; whoever serves its name is to
	 * open it. ESTALE likewise.
	 */
	BD_SCD_HAND = 4,
	/*
	 * Descriptor: a socket that is to outlive the process; it is bound, and listens
	 * when it has been answered. EADDRINUSE: another of this port is kept, ask for
	 * that. EPROTOTYPE: a keeper of an older release; listen, and say it again.
	 */
	BD_SCD_LISTEN = 5,
	/* port: asks for the socket of an earlier process; the answer brings it, and it listens. */
	BD_SCD_LISTENER = 6,
};

struct bd_scd_request {
	__u64 magic;
	__u32 kind;		/* enum bd_scd_kind */
	__u32 slot;
	__u64 offset;		/* of the box in its descriptor */
	__u64 length;
	__u64 generation;	/* of the session, as its box says */
	__u8  session[16];
	char  name[BD_CBOX_NAME];
	__u32 port;
	__u32 reserved;
};

/* What a request was one too many of: most are all that there may be. */
enum bd_scd_limit {
	BD_SCD_SESSIONS = 1,
	BD_SCD_BYTES = 2,	/* of boxes */
	BD_SCD_PROCESSES = 3,
	BD_SCD_LISTENERS = 4,
	BD_SCD_BOX = 5,		/* bytes of one */
	BD_SCD_SLOTS = 6,	/* kept before their roots */
};

struct bd_scd_answer {
	__u64 magic;
	__u32 kind;		/* of the request */
	__s32 error;		/* 0 or an errno */
	__u32 limit;		/* enum bd_scd_limit; 0: it was none */
	__u32 user;		/* 1: what one user may have of it, 0: all */
	__u64 most;
};

#endif
