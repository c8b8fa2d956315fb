// SPDX-License-Identifier: Apache-2.0

package target

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lazystate/backdoor"
	"lazystate/backdoor/bdtest"
	"lazystate/backdoor/inic"
)

func TestParse(t *testing.T) {
	for raw, want := range map[string]Spec{
		"inic:///dev/shm/t1/ram":                     {Scheme: "inic", RAM: "/dev/shm/t1/ram", BAR: "/dev/shm/t1/bar"},
		"inic:///t/ram?bar=/other&pid=42&machine=pc": {Scheme: "inic", RAM: "/t/ram", BAR: "/other", PID: 42, Machine: inic.PC},
		"lab:t1": {Scheme: "lab", Name: "t1"},
	} {
		got, err := Parse(raw)
		if err != nil {
			t.Errorf("%s: %v", raw, err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s (want -, got +):\n%s", raw, d)
		}
	}
	for _, raw := range []string{"", "t1", "lab:", "lab://t1", "inic://host/ram", "inic:ram", "inic:///r?pid=0", "inic:///r?pid=x",
		"inic:///r?machine=sun", "inic:///r?typo=1", "http://t1", ":", "\x7f"} {
		if s, err := Parse(raw); err == nil {
			t.Errorf("%q accepted as %+v", raw, s)
		}
	}
}

func TestRDMAIsNotThereYet(t *testing.T) {
	_, err := Open(context.Background(), "rdma://t1:7777", Options{})
	var e *NotSupportedError
	if !errors.As(err, &e) || e.Scheme != "rdma" || !errors.Is(err, ErrNotSupported) {
		t.Errorf("got %v", err)
	}
}

func TestOpenFiles(t *testing.T) {
	dir := t.TempDir()
	ram, bar := make([]byte, 16<<20), make([]byte, 4096)
	fake := bdtest.New(bdtest.WithBacking(ram, bar))
	fake.AddProcess(bdtest.Proc{UID: 1000, Comm: "cat"})
	for name, b := range map[string][]byte{"ram": ram, "bar": bar} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ctx := context.Background()
	m, err := Open(ctx, "inic://"+dir+"/ram", Options{Writable: true})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	target, err := backdoor.Open(ctx, m)
	if err != nil {
		t.Fatal(err)
	}
	if release, _ := target.Manifest().String("kernel_release"); release != "6.1.0-bdtest" {
		t.Errorf("kernel release %q", release)
	}
	if _, err := Open(ctx, "inic://"+dir+"/ram", Options{Writable: true}); !errors.Is(err, backdoor.ErrReadOnly) {
		t.Errorf("a second writer: %v", err)
	}
	second, err := Open(ctx, "inic://"+dir+"/ram", Options{})
	if err != nil {
		t.Fatalf("a second reader: %v", err)
	}
	second.Close()
	if _, err := Open(ctx, "inic://"+dir+"/none", Options{}); err == nil {
		t.Error("opened a file that is not there")
	}
}
