// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLoad(t *testing.T) {
	b, public, err := New()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "id")
	write := func(b []byte, mode os.FileMode) {
		t.Helper()
		os.Remove(path)
		if err := os.WriteFile(path, b, mode); err != nil {
			t.Fatal(err)
		}
	}
	write(b, 0o600)
	if id, err := Load(path); err != nil || id.Public != public {
		t.Errorf("%v, %v", id, err)
	}
	for what, prepare := range map[string]func(){
		"mode":           func() { write(b, 0o640) },
		"PEM block":      func() { write([]byte("nothing"), 0o600) },
		"no such file":   func() { os.Remove(path) },
		"not a regular ": func() { os.Remove(path); os.Mkdir(path, 0o700) },
	} {
		prepare()
		if _, err := Load(path); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("want %q: %v", what, err)
		}
		os.Remove(path)
	}
	for _, text := range []string{"", "AAAA", public.String() + "A"} {
		if _, err := ParseKey(text); err == nil {
			t.Errorf("%q was taken for a key", text)
		}
	}
	if k, err := ParseKey(public.String()); err != nil || k != public {
		t.Errorf("%v, %v", k, err)
	}
}

func FuzzParse(f *testing.F) {
	b, _, err := New()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if id, err := Parse(b); err == nil && id.Public == (PublicKey{}) {
			t.Error("an identity without a key")
		}
	})
}
