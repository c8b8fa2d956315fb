// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lazystate/mtcp/cbox"
	"lazystate/mtcp/wire"
)

func session(n uint64) (id cbox.ID) {
	binary.LittleEndian.PutUint64(id[:], n)
	return id
}

func certOf(n uint64) (c wire.Certificate) {
	binary.LittleEndian.PutUint64(c[:], n)
	return c
}

func reopen(t *testing.T, path string) *certs {
	t.Helper()
	c, err := openCerts(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.close() })
	return c
}

// The next daemon knows what the last one noted, half a record or not.
func TestCertsOutliveTheDaemon(t *testing.T) {
	path := filepath.Join(t.TempDir(), certsName)
	c := reopen(t, path)
	if err := c.note(certChange{session(1), certOf(11)}, certChange{session(2), certOf(12)}, certChange{session(3), certOf(13)}); err != nil {
		t.Fatal(err)
	}
	if err := c.note(certChange{id: session(2)}, certChange{session(1), certOf(21)}); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for cut := range certRecord { // of the last change, which is then as if it had not been
		if err := os.WriteFile(path, whole[:len(whole)-cut], 0o600); err != nil {
			t.Fatal(err)
		}
		want := map[cbox.ID]wire.Certificate{session(1): certOf(21), session(3): certOf(13)}
		if cut > 0 {
			want[session(1)] = certOf(11)
		}
		again := reopen(t, path)
		if d := cmp.Diff(want, again.shown); d != "" {
			t.Fatalf("%d bytes less: %s", cut, d)
		}
		if err := again.note(certChange{session(4), certOf(14)}); err != nil {
			t.Fatal(err)
		}
		want[session(4)] = certOf(14)
		third := reopen(t, path)
		if d := cmp.Diff(want, third.shown); d != "" {
			t.Fatalf("%d bytes less, then one more: %s", cut, d)
		}
		for id, cert := range want {
			if third.ids[cert] != id {
				t.Errorf("certificate %s is of %s, want %s", cert, third.ids[cert], id)
			}
		}
	}
}

// The file does not grow with the number of moves, nor is anything lost when it
// is written anew.
func TestCertsFileIsBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), certsName)
	c := reopen(t, path)
	if err := c.note(certChange{session(1), certOf(1)}); err != nil {
		t.Fatal(err)
	}
	for i := range uint64(3 * mostCerts) {
		if err := c.note(certChange{session(2), certOf(i + 100)}); err != nil {
			t.Fatal(err)
		}
	}
	st, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if most := int64(mostCerts+2*2+1) * int64(certRecord); st.Size() > most {
		t.Errorf("%d bytes for two sessions, at most %d", st.Size(), most)
	}
	want := map[cbox.ID]wire.Certificate{session(1): certOf(1), session(2): certOf(3*mostCerts + 99)}
	if d := cmp.Diff(want, reopen(t, path).shown); d != "" {
		t.Error(d)
	}
}

// A disk that is full for a while takes half a change: what comes after it is
// not lost, and neither is what did not fit.
func TestCertsOutliveAFullDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), certsName)
	c := reopen(t, path)
	if err := c.note(certChange{session(1), certOf(11)}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.file.Write(make([]byte, certRecord/2)); err != nil {
		t.Fatal(err)
	}
	disk := c.file
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	c.file = full
	if err := c.note(certChange{session(2), certOf(12)}); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("on a full disk: %v", err)
	}
	c.file = disk
	full.Close()
	if err := c.note(certChange{session(3), certOf(13)}); err != nil {
		t.Fatal(err)
	}
	want := map[cbox.ID]wire.Certificate{session(1): certOf(11), session(2): certOf(12), session(3): certOf(13)}
	if d := cmp.Diff(want, reopen(t, path).shown); d != "" {
		t.Error(d)
	}
}
