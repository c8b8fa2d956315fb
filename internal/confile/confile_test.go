// SPDX-License-Identifier: Apache-2.0

package confile

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

type sample struct {
	Name string `yaml:"name"`
	List []struct {
		Wait Duration `yaml:"wait"`
	} `yaml:"list"`
}

func TestDecode(t *testing.T) {
	var s sample
	if err := Decode([]byte("name: a\nlist: [{wait: 250ms}]\n"), &s); err != nil || s.Name != "a" || s.List[0].Wait != 250e6 {
		t.Errorf("%+v, %v", s, err)
	}
	for text, want := range map[string]string{
		"nam: a\n": "[1:1]", "name: [\n": "[1:", "list: [{wait: soon}]\n": "[1:15]", "name: a\n---\nname: b\n": "a second YAML document",
	} {
		if err := Decode([]byte(text), &sample{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
	if err := Decode(nil, &sample{}); !errors.Is(err, io.EOF) {
		t.Errorf("nothing: %v", err)
	}
}

func TestLocate(t *testing.T) {
	src, bad := []byte("name: a\nlist:\n  - wait: 1s\n"), errors.New("bad")
	for path, want := range map[string]string{
		".list[0].wait": "[3:11] list[0].wait: bad", ".name": "[1:7] name: bad", ".list[0].gone": "[3:9] list[0].gone: bad", ".gone": "gone: bad",
	} {
		if err := Locate(src, At(path, bad)); err == nil || err.Error() != want || !errors.Is(err, bad) {
			t.Errorf("%s: %v, want %s", path, err, want)
		}
	}
	if err := Locate(src, At(".list[0]", At(".wait", bad))); err == nil || !strings.HasPrefix(err.Error(), "[3:11] list[0].wait") {
		t.Errorf("put together: %v", err)
	}
	if err := Locate(src, bad); err != bad {
		t.Errorf("unmarked: %v", err)
	}
}

func TestReadRefuses(t *testing.T) {
	dir := t.TempDir()
	fifo, huge := filepath.Join(dir, "fifo"), filepath.Join(dir, "huge")
	if err := errors.Join(syscall.Mkfifo(fifo, 0o600), os.WriteFile(huge, make([]byte, longest+1), 0o600)); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{fifo, huge, "/dev/zero", dir, filepath.Join(dir, "none")} {
		if _, err := Read(path); err == nil {
			t.Errorf("%s was read", path)
		}
	}
}
