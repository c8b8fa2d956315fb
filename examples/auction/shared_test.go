// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"sync"
	"testing"
)

// Who comes while it is being done has what comes of that, who comes later or wants
// something else has it done; who does not wait any more goes.
func TestShared(t *testing.T) {
	var s shared
	begun, go2, failed := make(chan struct{}), make(chan struct{}), errors.New("it is in vain")
	done := 0
	var all sync.WaitGroup
	var first error
	all.Go(func() {
		first = s.do(t.Context(), "mt1", func() error {
			done++
			close(begun)
			<-go2
			return failed
		})
	})
	<-begun
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.do(gone, "mt1", func() error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("who does not wait: %v", err)
	}
	if err := s.do(t.Context(), "mt2", func() error { return nil }); err != nil {
		t.Errorf("something else: %v", err)
	}
	errs := make([]error, 3)
	var waiting sync.WaitGroup
	for i := range errs {
		waiting.Add(1)
		all.Go(func() {
			waiting.Done()
			errs[i] = s.do(t.Context(), "mt1", func() error { return failed }) // by itself if it comes late
		})
	}
	waiting.Wait()
	close(go2)
	all.Wait()
	for _, err := range append(errs, first) {
		if !errors.Is(err, failed) {
			t.Errorf("%v", err)
		}
	}
	if err := s.do(t.Context(), "mt1", func() error { done++; return nil }); err != nil || done != 2 {
		t.Errorf("later: %v, done %d times", err, done)
	}
}
