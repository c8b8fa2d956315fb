// SPDX-License-Identifier: Apache-2.0

// Package sampling computes how often a remote Sensor Box must be read (§3.4.2).
//
// A monitor that must not accuse a healthy target with a probability above
// PM(T) within a deadline T, over a path that loses a share p_ml of its reads,
// samples at least R >= log PM(T) / log p_ml times during T, if T >> RTT.
//
// The trap: p_ml counts reads that had no answer in their own slot. Over a
// reliable connection a lost packet is not lost but late, and everything queued
// behind it is late with it; R samples are independent only on queues of their
// own (DECISION 25), so a short deadline on a single queue is refused.
//
//	plan, err := sampling.Goal{
//		Deadline: time.Second, PM: 1e-8, Loss: 1e-8, RTT: 10 * time.Microsecond,
//	}.Plan()
//	if err != nil {
//		return err // a *Refusal that says which condition does not hold
//	}
//	fmt.Println(plan.R, plan.Period) // 1, just under one second
package sampling
