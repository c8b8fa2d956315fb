// SPDX-License-Identifier: Apache-2.0

// Package call is what a process of a parallel program and the daemon of its node
// (dsmd) say to each other (§4.3.2): the program's synchronisation operations, and
// the set-up before them. kmod/uapi/dsm.h has every layout; Program is the one end,
// Server the other.
//
// # Set-up
//
// Over a socket of type SOCK_SEQPACKET, a message each, with descriptors:
//
//	program  hello                       its thread
//	dsmd     welcome  region ring state  sizes, addresses, who it is; or an error and a text
//	program  ready    uffd pagemap       it has mapped the region and watches it
//	dsmd     start                       or an error and a text
//
// The program makes the userfaultfd, with /dev/userfaultfd that dsmd passes if it
// may open that: so no process needs a right over the other. Nothing is said on the
// socket afterwards. Its end is the other's death: the daemon reads it, and the
// program asks the kernel to kill it then (F_SETSIG), for a page that nobody brings
// any more must not be waited for, and must never be read as zeros.
//
// # Calls
//
// One at a time, in shared memory, with two futexes (struct bd_dsm_ring): there is
// one thread that uses the DSM, for a replay must be deterministic (§4.3.2). An
// operation comes back when it is over, with flags: Due, a checkpoint is wanted;
// Replayed, the node is still in its past. Private state lies in a memfd: the
// program writes it and calls Checkpoint; after a restart it is there to be read.
//
// # Operations without a call
//
// A token that is here and that nobody waits for costs no call: its word is 1, and
// the program notes the operation in a ring. Both ends meet in one word, the gate:
// shut, turn, tail. Before it does anything else the daemon shuts it, and has then
// all operations that were before; with a new turn it opens it. So an operation is
// either before or after what the daemon does, and has its ordinal (§4.4) in any
// case. While the gate is shut, or the ring is full, the program calls.
//
// The trap: the turn. A program that looks at a word, sleeps while the daemon gives
// the token away and opens the gate again, must not find the gate as it was.
//
//	p, err := call.Join(os.Getenv("DSM_SOCKET"))
//	if err != nil {
//		return err
//	}
//	p.Acquire(3)
//	p.Region[40]++
//	p.Release(3)
//	p.Call(uapi.DsmBarrier, 1)
//	p.Call(uapi.DsmEnd)
package call
