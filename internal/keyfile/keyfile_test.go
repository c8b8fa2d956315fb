// SPDX-License-Identifier: Apache-2.0

package keyfile

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

const good = "000102030405060708090a0b0c0d0e0f"

func write(t *testing.T, content string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil { // whatever the umask is
		t.Fatal(err)
	}
	return path
}

func TestOne(t *testing.T) {
	if key, err := One(write(t, good+"\n", 0o600)); err != nil || key[15] != 15 {
		t.Errorf("key %x, %v", key, err)
	}
	for _, bad := range []string{"", good[2:], good + "00", "zz" + good[2:], good + " " + good} {
		_, err := One(write(t, bad, 0o600))
		if err == nil {
			t.Errorf("%q was taken", bad)
		} else if strings.Contains(err.Error(), good[2:]) {
			t.Errorf("the error tells the key: %v", err)
		}
	}
}

func TestSlots(t *testing.T) {
	keys, err := Slots(write(t, "# monitors\n0 "+good+"\n\n 7  "+good+"  # the spare\n", 0o600), 8)
	if err != nil || len(keys) != 2 || keys[1].Slot != 7 || keys[0].Key[15] != 15 {
		t.Fatalf("%v, %v", keys, err)
	}
	for _, bad := range []string{"8 " + good, "x " + good, "0", "0 " + good[2:], "0 " + good + " x", "-1 " + good, "0 zz" + good[2:]} {
		_, err := Slots(write(t, "# one\n"+bad, 0o600), 8)
		if err == nil || !strings.Contains(err.Error(), "keys:2:") {
			t.Errorf("%q: %v", bad, err)
		}
		if err != nil && strings.Contains(err.Error(), good[2:]) {
			t.Errorf("%q: the error tells the key: %v", bad, err)
		}
	}
}

func TestKeysOthersCanRead(t *testing.T) {
	for _, mode := range []os.FileMode{0o640, 0o604, 0o620} {
		if _, err := One(write(t, good, mode)); err == nil || !strings.Contains(err.Error(), "0600") {
			t.Errorf("mode %v: %v", mode, err)
		}
	}
	// A FIFO would be waited for, a device read, without end.
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{fifo, "/dev/zero", t.TempDir()} {
		if _, err := Slots(path, 8); err == nil || !strings.Contains(err.Error(), "not a regular file") {
			t.Errorf("%s: %v", path, err)
		}
	}
	if _, err := One(write(t, strings.Repeat("#", longest+1), 0o600)); err == nil || !strings.Contains(err.Error(), "at most") {
		t.Errorf("a huge file: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("0 " + good + " # one\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		keys, err := parse(b, 8)
		for _, k := range keys {
			if err != nil || k.Slot >= 8 {
				t.Errorf("%+v, %v", k, err)
			}
		}
	})
}
