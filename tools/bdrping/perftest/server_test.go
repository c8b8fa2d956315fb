// SPDX-License-Identifier: Apache-2.0

package perftest

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// A client that dies in the middle of its test does not keep its server from the next.
func TestTestOfAClientThatDied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			takes time.Duration
			want  error
		}{{time.Second, nil}, {time.Hour, context.Canceled}} {
			ctx, stop := context.WithCancel(t.Context())
			s := &session{ctx: ctx, stop: stop}
			played := make(chan error, 1)
			go func() {
				select {
				case <-time.After(c.takes):
					played <- nil
				case <-ctx.Done():
					played <- ctx.Err()
				}
			}()
			if err := s.outcome(played); !errors.Is(err, c.want) {
				t.Errorf("a test of %v: %v", c.takes, err)
			}
			stop()
		}
	})
}
