// SPDX-License-Identifier: Apache-2.0

package web

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A snapshot comes from another process: nothing in it may do harm.
func FuzzDecodeState(f *testing.F) {
	f.Add((&state{}).encode())
	f.Add((&state{date: time.Unix(1, 2), held: true, done: 1 << 40, values: [][]byte{{}, []byte("x")}, input: []byte("GET /")}).encode())
	f.Add([]byte{1, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := decode(b)
		if err != nil {
			return
		}
		again, err := decode(s.encode())
		if err != nil || !cmp.Equal(again, s, cmp.AllowUnexported(state{})) {
			t.Errorf("%v becomes %v, %v", s, again, err)
		}
	})
}

func TestStateIsKept(t *testing.T) {
	want := &state{date: time.Unix(0, 1700000000123456789), held: true, done: 12345, values: [][]byte{[]byte("a"), {}, []byte("ccc")}, input: bytes.Repeat([]byte("in"), 1000)}
	got, err := decode(want.encode())
	if err != nil || !cmp.Equal(got, want, cmp.AllowUnexported(state{})) {
		t.Fatal(got, err)
	}
	for n := range want.encode() {
		if s, err := decode(want.encode()[:n]); err == nil {
			t.Fatalf("%d bytes are %v", n, s)
		}
	}
}
