// SPDX-License-Identifier: Apache-2.0

package kmodtest

import (
	"slices"
	"strings"
	"testing"
	"time"

	"lazystate/backdoor"
	"lazystate/backdoor/uapi"
	"lazystate/repair"
)

// TestPerCPUWords: the agent publishes where the kernel counts its processes,
// and the sum over the CPUs, read from outside, is what /proc shows.
func TestPerCPUWords(t *testing.T) {
	onEach(t, func(t *testing.T, kernel string) {
		k := load(t, kernel)
		agent := goProgram(t, k.vm, "lazystate/tools/bdagent")
		if _, err := k.vm.Must(t.Context(), agent, "--once"); err != nil {
			t.Fatal(err)
		}
		patient := &repair.Patient{Name: kernel, Target: k.target}
		var n, least, most int
		for range 5 { // the guest's own chores may fork between the looks
			before := k.processes(t)
			counted, ok, err := patient.Counted(t.Context())
			if err != nil || !ok {
				t.Fatalf("no count: %v, words %v", err, k.words(t))
			}
			n, least, most = int(counted), before, k.processes(t)
			if least, most = min(least, most)-3, max(least, most)+3; n >= least && n <= most {
				k.eachCPU(t)
				return
			}
			time.Sleep(200 * time.Millisecond)
		}
		t.Errorf("the kernel counts %d processes, /proc %d to %d", n, least, most)
	})
}

// processes counts the numbers in the guest's /proc.
func (k *loaded) processes(t *testing.T) int {
	t.Helper()
	out, err := k.vm.Must(t.Context(), "/bin/sh", "-c", "ls /proc")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for name := range strings.FieldsSeq(out) {
		if strings.Trim(name, "0123456789") == "" {
			n++
		}
	}
	return n
}

func (k *loaded) words(t *testing.T) []backdoor.Foreign {
	t.Helper()
	words, err := k.target.Foreign(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return words
}

// eachCPU: every CPU of the guest has its own copy, at a place of its own.
func (k *loaded) eachCPU(t *testing.T) {
	t.Helper()
	values, err := k.target.ReadForeign(t.Context(), k.words(t))
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(values, func(v backdoor.ForeignValue) bool { return v.Name == backdoor.ProcessCounts })
	var root uapi.Sbox
	_, box := k.region(t, uapi.KindSensorbox)
	if err := root.Decode(box); err != nil {
		t.Fatal(err)
	}
	if n := len(values[i].Copies); n < int(root.NCPUs) || slices.ContainsFunc(values[i].Copies, func(c []byte) bool { return c == nil }) {
		t.Errorf("%d copies for %d CPUs: %v", n, root.NCPUs, values[i].Copies)
	}
}
