// SPDX-License-Identifier: Apache-2.0

// Package trial is the frame of a bench program: its flags, its bound in time,
// where its figure goes and its exit code (0 measured, 1 failed, 2 usage).
//
// The trap: a bench that hangs with a VM is worse than one that fails. Measure
// gets a context that ends at --timeout and must give the machine back then;
// a figure is written only when every run of it was made.
//
//	var program = trial.Program{
//		Name: "fetch", About: "Sensor Box fetch time", Runs: 5, Timeout: time.Minute,
//		Measure: func(ctx context.Context, o *trial.Options) (*result.Figure, error) {
//			fig := &result.Figure{Title: "Sensor Box fetch", X: "sensors", Y: "us"}
//			o.Logf("run %d", 1)
//			...
//			return fig, nil
//		},
//	}
package trial
