// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// A machine where nothing works for a minute is silent for a minute; attempts
// that hang are ended, and one that works later ends the silence.
func TestSilenceOfAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		begun, works := time.Now(), 0
		tried := again(ctx, func(ctx context.Context) error {
			switch works++; works {
			case 1:
				return errors.New("no fork")
			case 2:
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		})
		time.Sleep(lostAfter)
		if s := tried.silence(begun); s != lostAfter {
			t.Errorf("silent for %v", s)
		}
		time.Sleep(lostAfter)
		if s := tried.silence(begun); s > 2*time.Second || works < 3 {
			t.Errorf("silent for %v after %d attempts", s, works)
		}
		cancel()
		synctest.Wait()
		ended := works
		time.Sleep(time.Minute)
		if works != ended {
			t.Error("it goes on after its context")
		}
	})
}
