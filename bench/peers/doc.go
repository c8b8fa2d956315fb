// SPDX-License-Identifier: Apache-2.0

// Command peers runs the drills of §3.9.5 against what people use today, inside
// the same virtual machine: nothing but the kernel (its OOM killer), a pids
// limit set beforehand, earlyoom, and this project. Who heals, after how long,
// and whom does it kill?
//
// The trap: "healed" is not "something was killed". A machine counts as healed
// from the first half minute on in which the useful program runs within 10 % of its
// time before, if most of what follows until the end of the window is as good; all
// have the three minutes that our own drills have. systemd-oomd is not here: it
// ends at its start where no systemd is process 1 (docs/paper-map.md says how
// that was tried).
//
//	go run ./bench/peers
package main
