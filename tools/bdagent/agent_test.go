// SPDX-License-Identifier: Apache-2.0

package main

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestLookUp(t *testing.T) {
	text := "ffffffff81000000 T _text\nffffffff82a1a040 R __per_cpu_offset\n0000000000034d40 A process_counts\n" +
		"ffffffffc0001000 b process_counts\t[other]\nffffffff82b00000 B max_threads\n"
	got, err := lookUp(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]uint64{"__per_cpu_offset": 0xffffffff82a1a040, "process_counts": 0x34d40}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("symbols (-want +got):\n%s", d)
	}
	if _, err := lookUp(strings.NewReader("xyz R __per_cpu_offset\n")); err == nil {
		t.Error("a bad address was taken")
	}
}

func TestParseStall(t *testing.T) {
	text := "some avg10=0.12 avg60=0.00 avg300=0.00 total=9000\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=4321\n"
	if n, ok := parseStall([]byte(text)); n != 4321 || !ok {
		t.Errorf("stall %d, %v", n, ok)
	}
	for _, bad := range []string{"", "full total=\n", "full total=-1\n", "some total=5\n"} {
		if n, ok := parseStall([]byte(bad)); ok {
			t.Errorf("%q: %d", bad, n)
		}
	}
}

// A total that goes backwards is no stall of half a million years.
func TestStallMeter(t *testing.T) {
	var m stallMeter
	var told []uint64
	at := time.Unix(1000, 0)
	for i, total := range []uint64{9000, 9500, 9500, 100, 300} {
		m.look(total, at.Add(2*time.Duration(i)*time.Second), func(us uint64) { told = append(told, us) })
	}
	if d := cmp.Diff([]uint64{250, 0, 100}, told); d != "" {
		t.Errorf("rates (-want +got):\n%s", d)
	}
}

func TestNotify(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		t.Fatal(err)
	}
	t.Setenv("NOTIFY_SOCKET", path)
	if err := notify("READY=1"); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 32)
	if n, _, err := unix.Recvfrom(fd, buf, unix.MSG_DONTWAIT); err != nil || string(buf[:n]) != "READY=1" {
		t.Errorf("%q, %v", buf[:max(n, 0)], err)
	}
}

func TestUsage(t *testing.T) {
	var out, errs strings.Builder
	if code := run(t.Context(), []string{"bdagent", "surprise"}, nil, &out, &errs); code != 2 {
		t.Errorf("exit %d: %s", code, errs.String())
	}
	errs.Reset()
	if code := run(t.Context(), []string{"bdagent", "--module", "/nonexistent.ko"}, nil, &out, &errs); code != 1 || !strings.HasPrefix(errs.String(), "bdagent: load module: ") {
		t.Errorf("exit %d: %s", code, errs.String())
	}
}
