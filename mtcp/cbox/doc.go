// SPDX-License-Identifier: Apache-2.0

// Package cbox is the continuation box and the library over it: what a server
// needs so that its sessions can move (§2.4.2, §2.4.3, §2.7).
//
// A box is one piece of shared memory per session (kmod/uapi/cbox.h): two
// alternating snapshot buffers for each process of the service, the log of what
// was received since the last one, rings as channels between the processes, a
// record of what was done to the socket. It belongs to the session and not to
// the process: a Keeper (scd) has it mapped and holds the connection too, so a
// SIGKILL at any instruction loses nothing.
//
//	paper           here
//	create_sc       Create, or Accept of a Listener; Resume where the session goes on
//	export_state    Session.Export (lazy: no system call), ExportEager, ExportNDI
//	register        Session.Buffer and Commit: the state is made in the box itself
//	import_state    Session.Import
//	associate       Session.Associate: a process below this one, and channels to it
//	open_sc         Open
//	EMIGRATED       MigratedError
//
// A Conn is a net.Conn. What it reads goes through the box's log, what it
// writes is counted; after a move both repeat what the process does again. The
// arithmetic is package mtcp's, offsets are those of the kernel (Counters).
// Whoever moves a session opens it as a Box: Freeze, Capture, Depart here,
// Plant and Bind there.
//
// The trap: an exported state must reflect all that was read before it (§2.6.4).
// After Export those bytes are gone from the log; a server that exports before
// it has used what it read loses it in a move. And what a process does between
// two exports it must do again in the same way from the same bytes; where that
// cannot be (clocks, random numbers, databases) it declares the interval with
// ExportNDI, and its output waits for the next export.
//
//	l, err := cbox.Listen(ctx, "tcp", ":8000", cbox.Config{Keeper: keeper, Bell: bell})
//	for {
//		conn, err := l.Accept()
//		c := conn.(*cbox.Conn)
//		var done uint64
//		if state, ok := c.Import(); ok {
//			done = binary.LittleEndian.Uint64(state)
//		}
//		for ; done < total; done += n {
//			n, err = c.Write(chunk(done))
//			c.Export(binary.LittleEndian.AppendUint64(nil, done+n))
//		}
//		c.Close()
//	}
package cbox
