// SPDX-License-Identifier: Apache-2.0

// Package netrig is a network for tests and benches: hosts, each a network namespace, on one
// bridge in a namespace of its own. Real TCP between them, and nothing of it is
// seen outside (the three machines of §2.7.1).
//
// The trap: a namespace belongs to a thread. Do runs a function on a thread of
// the host that dies with it; sockets opened there stay in that namespace
// wherever they are used, but a goroutine started there is somewhere else.
//
//	if err := netrig.Usable(); err != nil {
//		lab.Skip(t, err.Error())
//	}
//	r := netrig.New(t, "client", "s1")
//	s1 := r.Host("s1")
//	s1.Addr("10.9.0.1/24")
//	var l net.Listener
//	s1.Do(func() (err error) { l, err = net.Listen("tcp", "10.9.0.1:80"); return })
package netrig
