// SPDX-License-Identifier: Apache-2.0

// Package policy decides when a session is to move, and where to, from what has
// been measured (§2.6.2); how it moves is others' business. It is pure: samples
// with their times go in, decisions come out.
//
// A client looks at one connection:
//
//	Rate     what comes in falls 25 % under the best of the current server (§2.7.2)
//	Delay    an answer does not come
//	Loss     nothing is acknowledged, however often it is repeated
//	Silence  a stream that flowed does not flow any more
//	Pace     not again so soon, and later still after a move that failed
//
// A server looks at all that it has:
//
//	Shed     above one mark it sends sessions away, until it is below another
//	Content  groups of clients belong to servers
//	Drain    everything goes
//
// The trap: a policy cannot tell a slow server from a client that does not ask
// for more. Rate and Silence are for streams; a connection that idles between
// requests would wander from server to server.
//
//	w := policy.Watch{Triggers: []policy.Trigger{&policy.Rate{}, &policy.Delay{Limit: time.Second}}}
//	if why := w.Look(policy.Sample{At: now, Moves: moves, Received: bytes}); why != "" {
//		servers := pace.Order(offered, current, now) // empty: not now
//	}
//
//	for _, m := range (policy.Shed{High: 0.9, Low: 0.7}).Plan(self, others, sessions) {
//		// m.Session goes to m.To
//	}
package policy
