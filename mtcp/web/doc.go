// SPDX-License-Identifier: Apache-2.0

// Package web makes sessions of net/http servers movable, without a change to
// their handlers: each request is a state interval (§2.4.1), and the snapshot
// is the request with the length of the response so far, as M-Apache's was
// (§2.7.2).
//
// A Conn stands between net/http and the session. It gives the server one
// request at a time, so that nothing is read ahead when a snapshot is taken;
// it exports when a request is there, each 8 KiB of the response, and when the
// response is complete. In another process the request is read again, the
// handler runs again, and what the client has of its response is swallowed; of
// a file it is not even read (ReadFrom seeks).
//
// The trap: a handler must answer the same request in the same way. The clock
// is dealt with for the Date of a response, other choices are made through
// Once, or the whole response is kept back until it is complete (Hold). What a
// handler does elsewhere, it may do twice: see examples/shop for exactly once.
// Files have to be the same on all servers, their times of change included.
//
//	k, err := keeper.Dial("/run/lazystate/scd.sock", "web")
//	l, err := k.Listen(ctx, "tcp", ":80", web.Boxes())
//	srv := &http.Server{Handler: http.FileServer(http.Dir("/srv/www"))}
//	err = web.Serve(srv, l)
//
//	func lottery(w http.ResponseWriter, r *http.Request) {
//		number, err := web.Once(r, draw)
//		...
//	}
package web
