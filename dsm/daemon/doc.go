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
// has no other order than that of the operations. Another thread is refused. The
// program and its daemon live and die together; whoever started them starts both
// again, and the new daemon is the next incarnation, which recovers from the last
// checkpoint in the Store.
//
// # Checkpoints
//
// A Policy wants them; the answer to an operation tells the program, which gives its
// private state when it can. State and private state are written behind its back.
// A checkpoint that cannot be written is given up, with a word in the log, and the
// program goes on.
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
