// SPDX-License-Identifier: Apache-2.0

package soaktest

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"lazystate/bench/result"
)

// kept is what a soak that is a test within this one leaves in its file.
func kept(t *testing.T, told int, f func(t *testing.T, b *Book)) (all []result.Soak) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "soak.json")
	t.Run("soak", func(t *testing.T) {
		var b *Book
		t.Cleanup(func() { b.record(t, file) }) // as make soak does then
		b = New(t, file, 7, told)
		f(t, b)
	})
	text, err := os.ReadFile(file)
	if os.IsNotExist(err) {
		return nil
	}
	if err == nil {
		err = json.Unmarshal(text, &all)
	}
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// A whole soak says how often it ran, whether it was told before or not.
func TestWholeSoak(t *testing.T) {
	for told, all := range map[int][]result.Soak{
		0: kept(t, 0, func(_ *testing.T, b *Book) { b.Runs++ }),
		2: kept(t, 2, func(t *testing.T, b *Book) {
			b.Run(t, "one", func(*testing.T) { b.Add("moves", 3) })
			b.Run(t, "two", func(*testing.T) {})
		}),
	} {
		if len(all) != 1 || all[0].Runs != max(told, 1) || !all[0].Good || all[0].Seed != 7 {
			t.Errorf("told %d: recorded is %+v", told, all)
		}
	}
}

// A soak of which runs were skipped, which ended early, which was skipped, or of which
// only a part was asked for leaves the record as it is.
func TestPartialSoak(t *testing.T) {
	whole := func(_ *testing.T, b *Book) { b.Runs = b.Told }
	for name, c := range map[string]struct {
		soak func(t *testing.T, b *Book)
		flag string // of go test, that chooses
	}{
		"a run was skipped": {soak: func(t *testing.T, b *Book) {
			b.Run(t, "one", func(*testing.T) {})
			b.Run(t, "two", func(t *testing.T) { t.Skip("rxe does not reach it") })
		}},
		"ended early": {soak: func(t *testing.T, b *Book) { b.Run(t, "one", func(*testing.T) {}) }},
		"skipped": {soak: func(t *testing.T, b *Book) {
			whole(t, b)
			t.Skip("no lab")
		}},
		"a part of it":         {whole, "test.run"},
		"all but a part of it": {whole, "test.skip"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.flag != "" {
				choose(t, c.flag, t.Name()+"/soak/6.12")
			}
			if all := kept(t, 2, c.soak); all != nil {
				t.Errorf("recorded is %+v", all)
			}
		})
	}
}

// choose sets a flag of go test's, which has read it already.
func choose(t *testing.T, name, pattern string) {
	t.Helper()
	was := flag.Lookup(name).Value.String()
	t.Cleanup(func() { _ = flag.Set(name, was) })
	if err := flag.Set(name, pattern); err != nil {
		t.Fatal(err)
	}
}
