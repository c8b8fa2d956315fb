// SPDX-License-Identifier: Apache-2.0

// Package party decides, for each of the three who take part in the move of a
// session (§2.5.2), what to do next: Client (the agent at the client), Target
// (S2) and Source (S1). It is pure: what is heard goes in as an Event, what is to
// be done comes out as Effects; timers are effects too. Numbers and bytes are
// package mtcp's, and stay with whoever carries the effects out.
//
// A move has one commit point, and Lead says whose it is.
//
//	ByClient   the client's switch: it leaves S1 and says so to S2 (Figure 2.7)
//	BySource   S1's word Go, after the client's traffic has been redirected
//	           (address takeover, gateway): the client knows nothing
//
// S2 serves only after that word. S1 serves again only when it knows that S2
// never will: S2 has said Never, or the client has said that it stays, or the
// word was not given. In between S1 is deaf and waits (§2.5.2: S1 keeps its
// endpoint until the transfer is acknowledged). So at most one server serves,
// whatever is lost and whoever dies; what a crash can cost is the session.
//
// The trap: silence is not a refusal. A move that timed out at S1 may have
// succeeded at S2, whose Moved was lost. S1 asks (Query) as soon as it can. S2
// answers also when its daemon was started anew in between: its journal says
// what it has let live. So does S1 ask when its own was (ResumeSource): its journal
// says what it had given away; what is frozen and was not, goes on. A client's agent
// that was started anew knows by the kernel's programs whether it has switched
// (ResumeClient).
//
// A client that has switched and hears nothing gives S2 up in the end, and may be wrong:
// S2 may serve, and the way from there be broken. Nothing that the client could say then
// may let S1 go on. It asks, and S1 that knows the session to be elsewhere (Left) sends it
// back there (FollowClient). No server begins or ends anything by that.
//
//	s := party.NewSource(party.BySource, party.Defaults)
//	for _, do := range s.Step(party.Event{Kind: party.Start}) {
//		switch do.Do {
//		case party.Send: // do.Msg to S2
//		case party.Wake: // Step(Event{Kind: Timer}) after do.After, unless woken otherwise
//		case party.Capture: // freeze and dump, then Step(Done) or Step(Failed)
//		...
//		}
//	}
package party
