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
		"lab:t1":         {Scheme: "lab", Name: "t1"},
		"rdma://t1":      {Scheme: "rdma", RDMA: &RDMA{Host: "t1", Port: 7777, Monitor: -1}},
		"rdma://[::1]:9": {Scheme: "rdma", RDMA: &RDMA{Host: "::1", Port: 9, Monitor: -1}},
		"rdma://10.0.0.7/?provider=roce&device=10.0.0.2&monitor=3&key=/k&pool=8&timeout=14": {Scheme: "rdma", RDMA: &RDMA{
			Host: "10.0.0.7", Port: 7777, Provider: "roce", Device: "10.0.0.2", Monitor: 3, KeyFile: "/k", Pool: 8, Timeout: 14}},
		"rdma://t1?provider=ibv&device=rxe0": {Scheme: "rdma", RDMA: &RDMA{Host: "t1", Port: 7777, Provider: "ibv", Device: "rxe0", Monitor: -1}},
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
		"inic:///r?machine=sun", "inic:///r?typo=1", "http://t1", ":", "\x7f",
		"rdma:", "rdma://", "rdma:///t1", "rdma://t1/x", "rdma://t1:0", "rdma://t1:70000", "rdma://u@t1", "rdma://t1?typo=1", "rdma://t1?provider=tcp",
		"rdma://t1?device=rxe0", "rdma://t1?provider=roce&device=rxe0", "rdma://t1?monitor=8", "rdma://t1?monitor=x", "rdma://t1?pool=0", "rdma://t1?timeout=32"} {
		if s, err := Parse(raw); err == nil {
			t.Errorf("%q accepted as %+v", raw, s)
		}
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
