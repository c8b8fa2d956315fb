// SPDX-License-Identifier: Apache-2.0

package soaktest

import (
	"context"
	"flag"
	"fmt"
	"strings"
	"testing"
	"time"

	"lazystate/bench/result"
	"lazystate/tools/lab"
)

// Book counts what a test that is repeated has found. Runs are those that have ended,
// which Run or the test itself counts.
type Book struct {
	result.Soak
	Told int // runs of a whole soak; 0: as many as there are, or as there is time for
}

// New has make soak record it in a file at the test's end, if it was a whole soak, good
// or not. Who does not know yet how often it will run sets Told later.
func New(t *testing.T, file string, seed uint64, told int) *Book {
	t.Helper()
	b := &Book{result.Soak{Test: t.Name(), Seed: seed, Begun: time.Now().UTC().Truncate(time.Second), Counts: map[string]int{}}, told}
	began := time.Now()
	t.Cleanup(func() {
		b.Good, b.Took = !t.Failed(), time.Since(began).Round(time.Second).Seconds()
		t.Logf("seed %d, %d runs: %v", seed, b.Runs, b.Counts)
		if lab.Soak() {
			b.record(t, file)
		}
	})
	return b
}

func (b *Book) record(t *testing.T, file string) {
	t.Helper()
	if why := b.partial(t.Skipped()); why != "" {
		t.Logf("not recorded: %s", why)
		return
	}
	if err := b.Save(context.Background(), file); err != nil {
		t.Error(err)
	}
}

// Add counts n more of something.
func (b *Book) Add(what string, n int) { b.Counts[what] += n }

// Run is one run as a test of its own. It counts, whatever came of it, unless it was
// skipped or filtered out.
func (b *Book) Run(t *testing.T, name string, f func(t *testing.T)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		t.Cleanup(func() {
			if !t.Skipped() {
				b.Runs++
			}
		})
		f(t)
	})
}

// partial says why this was no whole soak, whose record would hide that of one that was.
func (b *Book) partial(skipped bool) string {
	switch {
	case skipped:
		return "skipped"
	case b.filtered("test.run") || b.filtered("test.skip"):
		return "part of it was not asked for"
	case b.Runs < b.Told:
		return fmt.Sprintf("%d of %d runs have ended", b.Runs, b.Told)
	}
	return ""
}

// filtered reports whether a flag of go test's chooses among the tests within this one.
func (b *Book) filtered(by string) bool {
	return strings.Count(flag.Lookup(by).Value.String(), "/") > strings.Count(b.Test, "/")
}
