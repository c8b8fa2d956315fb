// SPDX-License-Identifier: Apache-2.0

package salvage

import (
	"context"
	"testing"
	"time"

	"lazystate/bench/result"
	"lazystate/tools/lab"
)

// record is where make soak leaves what came of it.
const record = "../../bench/results/soak-salvage.json"

// book counts what a test that is repeated has found.
type book struct{ result.Soak }

// newBook has make soak record it at the test's end, whatever that is.
func newBook(t *testing.T, seed uint64, runs int) *book {
	t.Helper()
	b := &book{result.Soak{Test: t.Name(), Seed: seed, Runs: runs, Begun: time.Now().UTC().Truncate(time.Second), Counts: map[string]int{}}}
	began := time.Now()
	t.Cleanup(func() {
		b.Good, b.Took = !t.Failed(), time.Since(began).Round(time.Second).Seconds()
		t.Logf("seed %d, %d runs: %v", seed, runs, b.Counts)
		if !lab.Soak() {
			return
		}
		if err := b.Save(context.Background(), record); err != nil {
			t.Error(err)
		}
	})
	return b
}

func (b *book) add(what string, n int) { b.Counts[what] += n }
