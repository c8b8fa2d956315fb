// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Old notes are forgotten; what is kept for as long as the machine runs is not, nor is
// the socket of a holder that has been there for as long.
func TestPrune(t *testing.T) {
	j := journal(t.TempDir())
	l, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: j.path("escrow"), Net: "unixpacket"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	old, young := ID{1}, ID{2}
	if err := j.note(old); err != nil {
		t.Fatal(err)
	}
	if _, err := j.key(); err != nil {
		t.Fatal(err)
	}
	all, err := filepath.Glob(j.path("*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range all {
		before := time.Now().Add(-2 * time.Hour)
		if err := os.Chtimes(path, before, before); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.note(young); err != nil {
		t.Fatal(err)
	}
	if err := j.prune(time.Hour); err != nil {
		t.Fatal(err)
	}
	if j.noted(old) || !j.noted(young) {
		t.Errorf("the old note is there: %t, the young one: %t", j.noted(old), j.noted(young))
	}
	for _, name := range []string{"escrow", keyName} {
		if _, err := os.Stat(j.path(name)); err != nil {
			t.Error(err)
		}
	}
}
