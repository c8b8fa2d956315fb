// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"strings"
	"testing"
	"time"
)

// A command that says both words is ended by ^C and has time to clean up; one
// that ends early, or never says them, is an error with its last words.
func TestWarmStart(t *testing.T) {
	left := t.TempDir() + "/left"
	begun, up, err := warmStart(t.Context(), "sh", "-c", `trap 'echo >`+left+`; exit 130' INT
		echo "0.1s x: booting a 6.1 target" >&2; sleep 0.2; echo "x: 6.1 is up; the useful program runs alone" >&2; while :; do sleep 0.1; done`)
	// A word may be heard late: only from the start on must there be those 200 ms.
	if err != nil || begun <= 0 || up <= begun || up < 200*time.Millisecond {
		t.Errorf("begun %v, up %v: %v", begun, up, err)
	}
	if _, err := os.Stat(left); err != nil {
		t.Errorf("it was not let end: %v", err)
	}
	if _, _, err := warmStart(t.Context(), "sh", "-c", "echo no modules >&2; exit 1"); err == nil || !strings.Contains(err.Error(), "no modules") {
		t.Errorf("a drill that fails: %v", err)
	}
}

// The words are bddrill's.
func TestTheWordsAreStillSaid(t *testing.T) {
	src, err := os.ReadFile("../../tools/bddrill/runner.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"%s" + begunSays, upSays} {
		if !strings.Contains(string(src), word) {
			t.Errorf("bddrill no longer says %q", word)
		}
	}
}
