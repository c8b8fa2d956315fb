// SPDX-License-Identifier: Apache-2.0

// Package keeper outlives the processes of a server: it holds the boxes and the
// connections of their sessions, and their listening sockets, and hands them to
// another process when one dies (§2.4.2: the state of a service continuation
// belongs to the operating system, not to the process). It is what scd is made
// of, beside the moving of sessions to other machines.
//
// A process says over a unix socket who it is, what sessions it has accepted and
// which it has closed (kmod/uapi/scd.h); Client does so in Go, mtcp/cbox/c in C.
// What the process was, the kernel says: SO_PEERCRED names its user, a pidfd its
// death. Sessions go only from one process to another of the same user that
// serves the same name.
//
// A keeper that dies takes nothing with it but the protection; one that is
// started again is told by the processes what they have. What no process has ends
// with it, by a reset, unless somebody keeps that (Config.Waiting, Room.Adopt).
//
// The trap: the keeper's descriptor keeps a connection open. A server that only
// closes its own socket sends no FIN; the session's Close tells the keeper, and
// a process that dies without it is one that will be replaced.
//
//	client, err := keeper.Dial("/run/lazystate/scd.sock", "web")
//	l, err := client.Listen(ctx, "tcp", ":80", cbox.Config{})
//	return http.Serve(l, handler) // also sessions of a process that died
//
//	k := keeper.New(keeper.Config{Sessions: 10000})
//	go k.Serve(socket)
//	held, err := k.Hold(id, time.Second) // frozen: nobody touches it
//	defer held.Thaw()                    // or Depart, when it is elsewhere
package keeper
