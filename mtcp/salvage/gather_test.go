// SPDX-License-Identifier: Apache-2.0

package salvage

import (
	"context"
	"errors"
	"testing"

	"lazystate/backdoor"
)

// Readers of different length cost as many batches as the longest has steps, and
// each has its own answers and its own error.
func TestGather(t *testing.T) {
	batches, wrong := 0, errors.New("wrong address")
	g := &gather{ctx: t.Context(), read: func(_ context.Context, reads []backdoor.VARead) error {
		batches++
		for i := range reads {
			reads[i].Buf[0] = byte(reads[i].VA)
			if reads[i].VA == 7 {
				reads[i].Err = wrong
			}
		}
		return nil
	}}
	got := make([]error, 100)
	g.each(len(got), func(i int, read func([]backdoor.VARead) error) {
		for step := range i % 5 {
			r := []backdoor.VARead{{VA: uint64(i), Buf: make([]byte, 1)}, {VA: uint64(i + step), Buf: make([]byte, 1)}}
			if got[i] = read(r); got[i] != nil {
				return
			}
			if r[0].Buf[0] != byte(i) || r[1].Buf[0] != byte(i+step) {
				t.Errorf("%d reads %d, %d", i, r[0].Buf[0], r[1].Buf[0])
			}
		}
	})
	if batches != 4 {
		t.Errorf("%d batches for chains of 4", batches)
	}
	for i, err := range got {
		// 7 itself, and 4 with its fourth step.
		if bad := i == 7 || i == 4; bad != errors.Is(err, wrong) {
			t.Errorf("%d: %v", i, err)
		}
	}
}

// A carrier that fails tells everybody, and nobody waits for ever.
func TestGatherCarrierFails(t *testing.T) {
	gone := errors.New("gone")
	g := &gather{ctx: t.Context(), read: func(context.Context, []backdoor.VARead) error { return gone }}
	g.each(50, func(i int, read func([]backdoor.VARead) error) {
		for range 3 {
			if err := read([]backdoor.VARead{{VA: 1, Buf: make([]byte, 1)}}); !errors.Is(err, gone) {
				t.Error(err)
			}
		}
		if err := read(nil); err != nil {
			t.Error(err)
		}
	})
	if !errors.Is(g.failed, gone) {
		t.Error(g.failed)
	}
}
