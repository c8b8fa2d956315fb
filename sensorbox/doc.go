// SPDX-License-Identifier: Apache-2.0

// Package sensorbox is the monitor's side of the Sensor Box (§3.4): View is a
// validated copy of a target's box, Detector turns a sequence of samples into
// events by the rules of Table 3.1. Both are pure: bytes, time and the outcome
// of each read are arguments, events are returned.
//
// A failure is declared only when a sensor driven by a clock has stalled
// beyond its deadline; sensors driven by activity alone raise suspicion
// (§3.9.3). No answer accuses nobody while the monitor's own side of the path
// fails its probe (§3.4.2). A machine frozen by the repair lock is not dead.
//
// The trap: a stall is a statement about two samples that both arrived. It is
// counted from the end of the one that first saw the value to the start of
// the last that saw it again, less the time the monitor itself was late; so it
// may be declared up to one period and one fetch after L, never before.
//
//	det := sensorbox.NewDetector(sensorbox.Config{Period: 10 * time.Millisecond})
//	for {
//		err := view.Decode(box, userPages)
//		events = det.Step(sensorbox.Input{Start: t0, End: t1, Outcome: sensorbox.Answered, View: &view}, events[:0])
//		for _, ev := range events {
//			fmt.Println(ev)
//		}
//	}
package sensorbox
