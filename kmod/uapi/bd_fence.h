/* SPDX-License-Identifier: (GPL-2.0 WITH Linux-syscall-note) OR Apache-2.0 */
/*
 * bd_fence.h - the fence: the remote OS lock without end (section 3.5.1, fail-stop).
 *
 * M writes like a lock request (backdoor.h), whose bytes these are but for the
 * heir. That says nothing to T: it is who has T's sessions from then on (0: nobody),
 * in the record with the highest seq of all slots that T has not refused. Nothing
 * takes a fence back but a reset.
 */
#ifndef LAZYSTATE_UAPI_BD_FENCE_H
#define LAZYSTATE_UAPI_BD_FENCE_H

#include "backdoor.h"

#define BD_FENCE_WANT	0x46454e43u

struct bd_fence_req {
	__u32 want;		/* BD_FENCE_WANT */
	__u32 epoch;
	__u32 heir;
	__u32 drain_ms;
	__u32 flags;
	__u32 monitor;		/* slot */
	__u64 seq;
	__u64 tag;
	__u32 commit;
	__u32 reserved[5];
};

struct bd_fence { struct bd_fence_req slot[BD_MONITORS]; };

#endif
