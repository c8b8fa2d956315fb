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
	m := meeting{filepath.Join(t.TempDir(), "meet")}
	if a := m.address(1); a != "" {
		t.Errorf("nobody was there, and is at %q", a)
	}
	for _, a := range []string{"host:1", "elsewhere:22"} {
		if err := m.tell(1, a); err != nil {
			t.Fatal(err)
		}
		if got := m.address(1); got != a {
			t.Errorf("%q, not %q", got, a)
		}
	}
	if files, err := os.ReadDir(m.dir); err != nil || len(files) != 1 {
		t.Errorf("%v, %v", files, err)
	}
	if err := (meeting{"/dev/null/no"}).tell(1, "a:1"); err == nil {
		t.Error("told in a folder that cannot be")
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
