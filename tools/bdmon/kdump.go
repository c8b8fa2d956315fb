// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"time"

	"lazystate/backdoor"
)

// crashKernelEvery is how often a target is asked: kdump's service may start
// long after the module, or be reconfigured.
var crashKernelEvery = time.Minute

// watchCrashKernel tells when a panic would leave no stamp (DECISION 19), and
// when it would again.
func (w *watch) watchCrashKernel(ctx context.Context, t *backdoor.Target) {
	stamps := true
	for {
		m, err := t.ReadManifest(ctx)
		switch {
		case err != nil: // the monitor says what is wrong with the target
		case stamps && !m.StampsPanic():
			w.heard.Warn("a crash kernel is loaded and runs before the panic notifiers: a panic leaves no stamp and nothing to salvage; " +
				"set crash_kexec_post_notifiers on the target, or forgo both")
			stamps = false
		case !stamps && m.StampsPanic():
			w.heard.Info("a panic will leave its stamp again")
			stamps = true
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(crashKernelEvery):
		}
	}
}
