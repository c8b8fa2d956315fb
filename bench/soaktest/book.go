// SPDX-License-Identifier: Apache-2.0

package soaktest

import (
	"context"
	"testing"
	"time"

	"lazystate/bench/result"
	"lazystate/tools/lab"
)

// Book counts what a test that is repeated has found.
type Book struct{ result.Soak }

// New has make soak record it in a file at the test's end, whatever that is. Who does not
// know yet how often it will run sets Runs later.
func New(t *testing.T, file string, seed uint64, runs int) *Book {
	t.Helper()
	b := &Book{result.Soak{Test: t.Name(), Seed: seed, Runs: runs, Begun: time.Now().UTC().Truncate(time.Second), Counts: map[string]int{}}}
	began := time.Now()
	t.Cleanup(func() {
		b.Good, b.Took = !t.Failed(), time.Since(began).Round(time.Second).Seconds()
		t.Logf("seed %d, %d runs: %v", seed, b.Runs, b.Counts)
		if !lab.Soak() {
			return
		}
		if err := b.Save(context.Background(), file); err != nil {
			t.Error(err)
		}
	})
	return b
}

// Add counts n more of something.
func (b *Book) Add(what string, n int) { b.Counts[what] += n }
