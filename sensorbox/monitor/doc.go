// SPDX-License-Identifier: Apache-2.0

// Package monitor samples the Sensor Box of a target on time (§3.4): it drives
// a sensorbox.Detector over any backdoor.Memory, at absolute times, so 10 ms
// and 1 ms periods are kept without drift. One batch a sample brings the box,
// the word of the repair lock and the panic stamp; in steady state a sample
// allocates nothing, and over a carrier that answers at once it wakes no second
// thread (see alarm).
//
// The trap: this process can be late too. Every sample says by how much, the
// detector takes it off its suspicion, and Status shows it. A goroutine that
// was woken by the network and computes can hold a sample up for 10 ms, until
// the runtime looks at its poller anyway. A monitor that is always late has too
// little CPU, and its deadlines are not kept: where that hides a stall, the
// event "late" says so.
//
// A death is announced only after the target's identity was checked, so an
// unloaded module or another boot is never reported as one.
//
//	m := monitor.New(monitor.Options{
//		Open: func(ctx context.Context) (backdoor.Memory, error) { return target.Open(ctx, url, target.Options{}) },
//		Sink: func(t *backdoor.Target, ev sensorbox.Event) { fmt.Println(ev) }, // must not block
//	})
//	if err := m.Run(ctx); err != nil {
//		return err // *sampling.Refusal: the deadlines cannot be kept over this path
//	}
package monitor
