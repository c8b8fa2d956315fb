// SPDX-License-Identifier: Apache-2.0

// Package salvage carries client sessions out of a machine whose kernel is dead,
// through the backdoor, and has them live here (§3.5, §3.6). The client's TCP
// notices what it would of a lost packet.
//
// The order is always the same (Run): fence the target for good; read the
// directory of its boxes; hold the sessions' flows here, so that our own kernel
// answers nothing for sockets that are not there yet; take over the addresses; read
// all sockets and boxes, in a few batches for all of them; ask the clients what
// they have; then each session by itself, several at a time, those that somebody waits
// for before the others: plan, plant, restore, live, release. A client that does not
// answer costs its session a retransmission timer, as in the dissertation, which does
// not ask and has output go out before it takes over the address (§3.6.5;
// Config.NotAsking). Of a machine that is cut off at its port alone, what was read is
// believed once its CPUs have had their time to stop: clients are asked and the first
// sockets made meanwhile, and nothing lives before. Of one that is read over a CPU that its
// fence spares, it is believed if no process has run there meanwhile. Look only reads, and
// says what could be done.
//
// A session that cannot be recovered is named with the reason; its client gets a
// reset, and the others go on. So it is with one whose replay has killed a machine
// that carried it out before (SetAsideError, §3.6.3).
//
// The trap: until the fence holds, nothing may be taken over. A target that was
// only slow has its sessions still, and two servers would speak for one address.
//
//	report, err := salvage.Run(ctx, salvage.Config{
//		Target: target,
//		Fence:  func(ctx context.Context) error { return target.Fence(ctx, options) },
//		Services: []netip.Prefix{service},
//		Gate: gate, Place: salvage.OnLink(link), Stack: stack, Keeper: keeper,
//	})
//	for _, s := range report.Sessions {
//		fmt.Println(s.Remote, s.Err)
//	}
package salvage
