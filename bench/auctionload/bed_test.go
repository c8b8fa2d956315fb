// SPDX-License-Identifier: Apache-2.0

package auctionload

import (
	"context"
	"errors"
	"testing"
	"time"

	"lazystate/examples/outcome/postgres"
	"lazystate/internal/netrig"
	"lazystate/mtcp/steer"
	"lazystate/tools/lab"
	"lazystate/tools/testbed"
)

// Both front ends answer a crowd of this process. Those that die are bench/fig311's.
func TestCrowd(t *testing.T) {
	if !lab.Soak() {
		t.Skip("bench/fig39 has the bed too: with LAZYSTATE_SOAK=1")
	}
	if err := errors.Join(netrig.Usable(), steer.Probe()); err != nil {
		lab.Skip(t, err.Error())
	}
	db, err := postgres.Start("auction")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		testbed.Done()
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	err = On(t.Context(), db, Site{Front: true, Middle: true}, func(b *Bed) error {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		c := b.Crowd(ctx, Spec{Clients: 6, Mix: "bidding", Think: 0.01, Visit: 5, Seed: 1})
		err := testbed.Await(ctx, "replies of both front ends", func() bool { return c.loads[0].Ended() > 20 && c.loads[1].Ended() > 20 })
		seen := c.End()
		if n, why := seen.Failed(); n > 0 {
			t.Errorf("%d requests failed, one by: %v", n, why)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
