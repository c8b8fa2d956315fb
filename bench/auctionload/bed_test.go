// SPDX-License-Identifier: Apache-2.0

package auctionload

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"lazystate/examples/outcome/postgres"
	"lazystate/internal/netrig"
	"lazystate/mtcp/steer"
	"lazystate/tools/lab"
	"lazystate/tools/testbed"
)

func TestMain(m *testing.M) {
	Main()
	os.Exit(m.Run())
}

// Both front ends answer a crowd of this process, and clients of another one. Those that
// die are bench/fig311's. The database is what they were told, until there is a bid in it
// that nobody has made.
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
		out, err2 := b.Load(ctx, Spec{Clients: 4, For: 3 * time.Second, Mix: "bidding", Think: 0.01, Seed: 2})
		if len(out.Updates) == 0 {
			t.Errorf("no updates: %+v", out)
		}
		if err := errors.Join(err, err2, b.sound(ctx)); err != nil {
			t.Error(err)
		}
		return invent(ctx, b.DSN)
	})
	if err == nil || !strings.Contains(err.Error(), `phantoms ["bid 9876543210`) {
		t.Errorf("a bid that nobody has made: %v", err)
	}
}

// invent makes a bid.
func invent(ctx context.Context, dsn string) error {
	c, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer c.Close(ctx)
	_, err = c.Exec(ctx, `INSERT INTO bids (item, bidder, amount, admitted, request) VALUES (1, 1, 9876543210, now(), 'nobody')`)
	return err
}
