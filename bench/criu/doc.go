// SPDX-License-Identifier: Apache-2.0

// Command criu measures CRIU beside us: one idle connection of a server is taken
// down with its process (criu dump --tcp-established) and set up again (criu
// restore) in the same network namespace, and the client is answered afterwards.
// What our own move of an idle connection takes is bench/handoff's.
//
// The trap: the two do not do the same. CRIU carries the whole process, and
// writes it to files: here the smallest there can be, a static C program that
// answers bytes, on a file system in memory, without CRIU's lock of the network
// (--network-lock skip), which costs extra. We carry the session, not the process.
// And CRIU's time is that of two programs that are started for it.
//
// Debian 12's CRIU (3.17) cannot read the vdso of Linux 6.18 and does not start
// there; 4.2 does. --criu names another one than that of the path.
//
//	go run ./bench/criu --runs 30
package main
