// SPDX-License-Identifier: Apache-2.0

// Package pkgtest holds the tests of what `make install` and tools/pkg install:
// all files are there with their modes, the units are read as systemd reads them, and each program runs with the capabilities and
// the limits of its unit, on a real kernel (§3.3's two sides, as operators run
// them).
//
// The trap: a unit that systemd-analyze accepts can still forbid what its
// program needs. bdagent's did: it locks its memory and takes a real-time class.
// Only running it so shows that. (Not shown: systemd's file system views and
// its seccomp filters; the lab's guests have another process 1.)
//
//	u := readUnit(t, "bdagent")
//	argv := u.argv("/bin/bdagent", "--keys", "/etc/lazystate/keys")
//	pid, err := vm.Start(ctx, lab.Proc{Argv: argv, OOMAdj: u.number("OOMScoreAdjust")})
//
// Run it with
//
//	go test ./tools/pkg/pkgtest
package pkgtest
