// SPDX-License-Identifier: Apache-2.0

// Bdlab keeps lab machines up between commands: boots one, runs programs in
// it, shows its console, takes it down (package tools/lab is the library).
//
// The trap: a VM dies with its owner, so "bdlab up" leaves a supervisor behind,
// a process of bdlab itself that owns QEMU until "bdlab down", SIGTERM or
// SIGINT. Killed with SIGKILL it takes QEMU along, and the next bdlab or test
// removes what is left.
//
//	# bdlab up --kernel 6.12 --mem 512 --swap 256 target
//	# bdlab exec target uname -r
//	6.12.x+deb12-amd64
//	# bdlab shell target
//	# bdlab qmp target query-status
//	{"status": "running", "singlestep": false, "running": true}
//	# bdlab ls --json
//	# bdlab down target
package main
