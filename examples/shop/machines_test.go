// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"testing"

	"lazystate/examples/outcome/pgtest"
	"lazystate/mtcp/keeper/keepertest"
	"lazystate/tools/testbed"
	"lazystate/tools/testbed/bedtest"
)

// The session of three orders goes to the other machine at each point of the work on the
// second: the transaction's number is in the snapshot, so that machine asks what became of
// it. Each order is made exactly once. What the first machine's back end goes on with,
// when nobody has the session there any more, is ended or has counted.
func TestMovesInMidTransaction(t *testing.T) {
	dsn := stocked(t)
	for i, point := range []string{"begun", "exported", "committed", "replied", "asked", "answered"} {
		way := bedtest.Ways[i%len(bedtest.Ways)]
		t.Run(point+" by "+way, func(t *testing.T) {
			pgtest.Exec(t, dsn, "DELETE FROM orders; UPDATE item SET stock = 1000 WHERE name = 'pen'")
			bedtest.On(t, "shop-front", way, func(b *bedtest.Bed) {
				file := filepath.Join(t.TempDir(), "there")
				t.Setenv(keepertest.WaitAt, point+":2:"+file)
				for _, s := range []*testbed.Site{b.S1, b.S2} {
					if _, err := b.Launch(s.Host, testbed.Self, "back", "--keeper", s.Keeper, "--database", dsn); err != nil {
						t.Fatal(err)
					}
					if _, err := s.Serve(t.Context(), testbed.Self, "front", "--keeper", s.Keeper, "--listen", "0.0.0.0:PORT"); err != nil {
						t.Fatal(err)
					}
					t.Setenv(keepertest.WaitAt, "")
				}
				c := b.Client("curl", orders(b.Addr(), 2, 3, 4)...)
				keepertest.Await(t, file)
				b.Hop()
				if err := os.Remove(file); err != nil {
					t.Fatal(err)
				}
				balance(t, dsn, c.Rest(), 2, 3, 4)
			})
		})
	}
}
