// SPDX-License-Identifier: Apache-2.0

// Command fig312 measures Figure 3.12 (§3.9.4): what all clients receive, and with
// --connections how many connections they make, in each second before and after the
// machine of a front end, of a middle tier, or of both has stopped. Beside it, on the
// same workload in the same run, what people do today: a service that is killed and
// started again at once, and a second machine that takes the address over as keepalived
// does; both without boxes, so that connections get resets. CRIU is asked for, too, on
// the machine that stands: no program begins there.
//
// The traps: the peers are given more than they get in practice. The service that is
// started again has a kernel that lives, and nobody waits before; the takeover has the
// same detector, where keepalived's default is three missed advertisements of 1 s each.
// And the front end that stops is emulated: before the crash it is the slower one of
// the two, and behind it the host's own has all clients.
//
//	go run ./bench/fig312 --kernel 6.12
//	go run ./bench/fig312 --connections
package main
