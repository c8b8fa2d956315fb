// SPDX-License-Identifier: Apache-2.0

// Package escrow holds descriptors for a daemon that may die: a process of its
// own, which does nothing else, has them meanwhile, and gives them to the next
// daemon. What is in it are sessions that came from another server and that no
// process here has taken yet (§2.5.2): they are alive, and nobody else has their
// sockets.
//
//	Open     finds the holder, or starts one, and returns what a daemon has left
//	Put      puts descriptors into it, without waiting for the holder
//	Drop     takes them out again
//	Renewed  says that the holder was lost, and there is one again
//	Empty    has it let go of everything: no daemon is to come
//	Serve    is the holder, in its own process
//
// The trap: a holder has the socket open, as the daemon has. A connection that is
// closed elsewhere is not closed before Drop. So one that does not keep up, or hangs
// up, is not left alone with what it has: it is looked for until it is found again, or
// has ended. And what it holds is only worth something if the daemon's supervisor lets
// it live (systemd: KillMode=process).
//
//	e, left, err := escrow.Open("/run/lazystate/scd-moves/escrow", func(l *os.File) error {
//		return start("scd", "escrow", l) // its descriptor 3
//	})
//	for _, item := range left {
//		// item.About says what it is; item.Files are this process's now
//	}
//	err = e.Put(escrow.Deposit{Key: key, About: about, FDs: []int{socket, box}})
//	e.Drop(key)
package escrow
