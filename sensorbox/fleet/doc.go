// SPDX-License-Identifier: Apache-2.0

// Package fleet decides which of several monitors owns which target: the
// monitor side of a backdoor replicated over machines (§3.8), whose members
// watch each other (§3.5.1) and hand a target on when the link to it fails
// (§3.4.2). Member is one monitor's half of it, and pure: reports of other
// monitors, the state of links, answers of writer's places and the time are
// inputs, what has to be done comes out.
//
// Who may write is never settled among monitors: each asks the target's
// writer's place (backdoor.WritersPlace, or etcd before it), which has one
// holder at a time and refuses epochs that are not above the last. What
// monitors tell each other only says who should ask next, so no message that
// is late, lost, doubled or false makes two owners.
//
// The trap: a monitor that was stopped for a while believes what it last
// believed. Ownership is a belief with an end (Granted.Until); who acts
// compares that with the clock each time, and what is on its way by then is
// refused at the place for its epoch.
//
//	m := fleet.NewMember(fleet.Config{Self: "m1", Monitors: []string{"m1", "m2"}, Targets: []fleet.Target{{Name: "t1"}}, Lease: 5 * time.Second})
//	for in := range inputs {
//		for _, a := range m.Step(now(), in) {
//			switch a := a.(type) {
//			case fleet.Claim: // ask the place; answer with Granted or Refused
//			case fleet.Serve: // heal, until Yield
//			case fleet.Yield: // stop, give the place up; answer with Released
//			case fleet.Renew, fleet.Tell:
//			}
//		}
//	}
package fleet
