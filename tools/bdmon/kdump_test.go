// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"
	"time"

	"lazystate/tools/control"
)

// kdump's service comes after the module: bdmon warns once, and says when it
// is over; bdctl's manifest is read anew.
func TestCrashKernelIsWarnedOf(t *testing.T) {
	was := crashKernelEvery
	crashKernelEvery = 10 * time.Millisecond
	r := newRig(t)
	r.configure(t, "")
	c := r.start(t)
	t.Cleanup(func() { r.stop(); <-r.code; crashKernelEvery = was }) // before start's own
	r.up(t, c)
	const warning = "a crash kernel is loaded"
	if strings.Contains(r.stderr.String(), warning) {
		t.Errorf("warned without one:\n%s", r.stderr)
	}
	r.SetCrashKernel(true, false)
	r.eventually(t, "a warning", func() bool { return strings.Contains(r.stderr.String(), warning) })
	var entries []control.Entry
	if err := c.Call(control.Request{Cmd: "manifest", Target: "t1"}, &entries); err != nil {
		t.Fatal(err)
	}
	loaded := ""
	for _, e := range entries {
		if e.Name == "crash_kernel_loaded" {
			loaded = e.Value
		}
	}
	if loaded != "0x1" {
		t.Errorf("crash_kernel_loaded is %q", loaded)
	}
	r.SetCrashKernel(true, true)
	r.eventually(t, "its end", func() bool { return strings.Contains(r.stderr.String(), "leave its stamp again") })
	if n := strings.Count(r.stderr.String(), warning); n != 1 {
		t.Errorf("warned %d times:\n%s", n, r.stderr)
	}
}
