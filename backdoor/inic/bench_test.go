// SPDX-License-Identifier: Apache-2.0

package inic

import (
	"fmt"
	"testing"

	"lazystate/backdoor"
	"lazystate/backdoor/bdtest"
	"lazystate/backdoor/uapi"
)

func benchTarget(b *testing.B, procs int) *backdoor.Target {
	b.Helper()
	m := newMachine(b)
	for range procs {
		m.AddProcess(bdtest.Proc{UID: 1000, Comm: "bomb"})
	}
	t, err := backdoor.Open(b.Context(), m.open(b, Options{}))
	if err != nil {
		b.Fatal(err)
	}
	return t
}

// Table 3.3's walk, without a network.
func BenchmarkWalk(b *testing.B) {
	for _, n := range []int{100, 1500} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			t := benchTarget(b, n)
			for b.Loop() {
				if _, err := t.Tasks(b.Context(), backdoor.WalkOptions{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// One fetch of a Sensor Box of a page, as a monitor does at each deadline.
func BenchmarkFetch(b *testing.B) {
	t := benchTarget(b, 0)
	box, err := t.Region(uapi.KindSensorbox)
	if err != nil {
		b.Fatal(err)
	}
	buf := make([]byte, 4096)
	b.ReportAllocs()
	for b.Loop() {
		if err := t.Do(b.Context(), box.Read(0, buf)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCheck(b *testing.B) {
	t := benchTarget(b, 0)
	for b.Loop() {
		if err := t.Check(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
