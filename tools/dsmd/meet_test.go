// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestMeeting(t *testing.T) {
	m := meeting{filepath.Join(t.TempDir(), "meet"), "this boot"}
	if a := m.address(1); a != "" {
		t.Errorf("nobody was there, and is at %q", a)
	}
	socket := filepath.Join(t.TempDir(), "socket")
	if err := os.WriteFile(socket, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		place
		want string
	}{
		{place{TCP: "host:1"}, "host:1"},
		{place{TCP: "elsewhere:22"}, "elsewhere:22"},
		{place{TCP: "host:1", Unix: socket, Boot: "this boot"}, "unix:" + socket},
		{place{TCP: "host:1", Unix: socket, Boot: "another"}, "host:1"},
		{place{TCP: "host:1", Unix: socket + "x", Boot: "this boot"}, "host:1"},
	} {
		if err := m.tell(1, c.place); err != nil {
			t.Fatal(err)
		}
		if got := m.address(1); got != c.want {
			t.Errorf("%+v: %q, not %q", c.place, got, c.want)
		}
	}
	if files, err := os.ReadDir(m.dir); err != nil || len(files) != 1 {
		t.Errorf("%v, %v", files, err)
	}
	if err := (meeting{dir: "/dev/null/no"}).tell(1, place{}); err == nil {
		t.Error("told in a folder that cannot be")
	}
	if err := os.WriteFile(m.file(1), []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	if a := m.address(1); a != "" {
		t.Errorf("%q", a)
	}
}

func TestReached(t *testing.T) {
	own, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ listen, name, host string }{
		{"127.0.0.1:0", "", "127.0.0.1"}, {"127.0.0.1:0", "other", "other"}, {"0.0.0.0:0", "", own}, {"0.0.0.0:0", "me", "me"},
	} {
		l, err := net.Listen("tcp", c.listen)
		if err != nil {
			t.Fatal(err)
		}
		_, port, _ := net.SplitHostPort(l.Addr().String())
		if got := reached(l, c.name); got != net.JoinHostPort(c.host, port) {
			t.Errorf("%+v: %s", c, got)
		}
		l.Close()
	}
}

func TestKey(t *testing.T) {
	if k, err := parseKey("00112233445566778899aabbccddeeff"); err != nil || k[1] != 0x11 {
		t.Errorf("%x, %v", k, err)
	}
	for _, s := range []string{"", "0011", strings.Repeat("zz", 16), strings.Repeat("00", 17)} {
		if k, err := parseKey(s); err == nil {
			t.Errorf("%q: %x", s, k)
		}
	}
}
