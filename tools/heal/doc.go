// SPDX-License-Identifier: Apache-2.0

// Package heal is healing modules that are more than one system's: salvage of a
// dead machine's client sessions as a repair.Healer (Figure 3.6, §3.6).
//
// Its plan accuses nobody. It looks whether the machine does anything any more
// and says what it would do; Apply fences the machine for good and has a recovery
// node carry out the sessions (tools/scd, by mtcp/salvage), which this side reaches
// by a function: the node has the sessions' keeper, the monitor has the fence.
//
// The trap: a fence is for good. What only stood and comes back is silent then,
// and no healer wakes it; and without a fence that holds nothing is carried out,
// for two machines would speak for one address (§3.5.1).
//
//	h := &heal.Salvage{Machine: "web1", Carry: func(ctx context.Context, portOnly bool) (*heal.Carried, error) {
//		return askRecoveryNode(ctx, "web1", portOnly)
//	}}
//	hm := dispatcher.NewHealer(h)
//	dispatcher.RegisterSensor(hm, "panicked")
//	dispatcher.RegisterSensor(hm, "failed")
package heal
