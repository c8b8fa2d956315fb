// SPDX-License-Identifier: Apache-2.0

// Package daemon is one node of the DSM (§4.3, §4.4): it drives a dsm.Node with
// the program's operations and page faults, other nodes' messages, checkpoints and
// time. tools/dsmd is it as a program.
//
// One lock is around the node and the region. Into it come: the thread that reads
// page faults (dsm/pager), the one that hears calls (dsm/call), the transport's, and
// the one that writes checkpoints. Whoever enters shuts the gate of the program's
// ring first and brings what it did without a call into the node; whoever leaves
// settles the region and opens the gate; and when it has let go of the lock, it
// flushes the network and wakes who waits for a page or an answer.
//
// # One program
//
// A node has one program with one thread that uses the region (§4.3.2): a replay
// has no other order than that of the operations. Another thread is refused at its
// first page fault; what it does to pages that are in place is not seen. The program
// and its daemon live and die together; whoever started them starts both again, and the
// new daemon is the next incarnation, which recovers from the last checkpoint in the
// Store.
//
// # Checkpoints
//
// A Policy wants them; the answer to an operation tells the program, which gives its
// private state when it can. State and private state are written behind its back.
// A checkpoint that cannot be written is given up, with a word in the log, and the
// program goes on.
//
// # What a page costs
//
// A miss whose page lies on its home's shelf is served by one thread of this process,
// and the home does nothing. On its way it wakes twice: the fault wakes that thread, and
// UFFDIO_WAKE the program. A wake is a switch if both threads are on one processor.
// Linux prefers an idle one, which has to be interrupted and to leave its idle state
// first. So Config.Bind keeps the three threads that only ever wait for each other on one
// processor, as launchers of MPI do with processes. What serves other nodes is not bound.
// A page that is not on the shelf costs two wakes more, at its home and back; those leave
// for another processor in any case.
//
// Least times of a thread that does nothing but UFFDIO_COPY, so the limit: 4.4 us where a
// page fault takes 1 us; 17 us on the fault's processor and 32 on another where, in a
// virtual machine, a page fault alone takes 10 us and a system call 1. The protocol and
// its copies add 3 to 4. There, memory that was never used before is dearer than all
// of that: each page of it is a fault, too. So buffers and twins are used again.
//
// Where the program goes through memory in order, the core fetches more and more pages
// with one (dsm.Config.Ahead), and both wakes are paid once for up to sixteen.
//
// What was not chosen. UFFD_FEATURE_SIGBUS would have the faulting thread serve itself,
// without a wake: but only C can have a handler that goes back to the access, Go's
// runtime has SIGBUS for itself; and read(2) into the region would fail. Threads that
// spin until the next fault take the processor from the program where there are no more
// processors than nodes, and the second wake remains: the program sleeps in the kernel.
//
// The trap: threads and processes that a program in C makes after dsm_join inherit that
// its thread is bound. Go's do not.
//
// # Waiting
//
// What waits for long is said, with what it waits for and of whom. A node that is
// silent is not taken for dead: it may come back, or another incarnation of it.
// While this node recovers there is no second one to wait for: past Config.Patience
// it gives up (two failures at once, §4.3.3).
//
// The trap: nothing that the program waits for may wait for the program. The gate
// is not a lock: it is shut while the daemon works, and the program calls instead.
//
//	d, err := daemon.New(cfg, store)
//	if err != nil {
//		return err
//	}
//	network, err := transport.New(netCfg, d)
//	if err != nil {
//		return err
//	}
//	d.Start(network)
//	if err := d.Serve(ctx, listener); err != nil { // until the program is over
//		return err
//	}
//	err = d.Part(ctx) // until all are
package daemon
