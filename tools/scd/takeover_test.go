// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func (w *world) dial() net.Conn { return w.dialPort(port) }

func (w *world) dialPort(port uint16) net.Conn {
	w.t.Helper()
	var c net.Conn
	w.client.Do(func() (err error) {
		c, err = (&net.Dialer{Timeout: hang}).DialContext(w.t.Context(), "tcp", netip.AddrPortFrom(w.addr, port).String())
		return err
	})
	w.t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(hang)); err != nil {
		w.t.Fatal(err)
	}
	return c
}

// idle is a client in the middle of its request; finish ends that, and checks the
// answer.
func (w *world) idle() (finish func()) {
	w.t.Helper()
	c := w.dial()
	say := func(s string) {
		if _, err := io.WriteString(c, s); err != nil {
			w.t.Fatal(err)
		}
	}
	say("GET /100000 HTT")
	return func() {
		w.t.Helper()
		say("P/1.1\r\nHost: x\r\n\r\n")
		got, err := io.ReadAll(c)
		if err != nil {
			w.t.Fatal(err)
		}
		_, body, _ := bytes.Cut(got, []byte("\r\n\r\n"))
		if sum := sha256.Sum256(body); hex.EncodeToString(sum[:]) != patternSum(100000) {
			w.t.Errorf("%d bytes, or others", len(body))
		}
	}
}

// A session moves in the middle of its request: nobody has exported anything.
func TestIdleSessionMoves(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		t.Run(fmt.Sprintf("v6 %t", v6), func(t *testing.T) {
			w := newWorld(t, v6)
			finish := w.idle()
			w.sites["s1"].await("a session", func() bool { return len(w.sites["s1"].ls()) == 1 })
			m := w.move()
			if m.Sessions != 1 {
				t.Errorf("%+v", m)
			}
			finish()
			w.sites["s2"].await("the end", func() bool { return len(w.sites["s2"].ls()) == 0 })
			if all := w.sites["s1"].ls(); len(all) != 0 {
				t.Errorf("s1 still has %v", all)
			}
		})
	}
}

// has reports whether the service's address is at a site.
func (w *world) has(site string) (there bool) {
	w.t.Helper()
	w.sites[site].Do(func() error {
		all, err := net.InterfaceAddrs()
		for _, a := range all {
			if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr() == w.addr {
				there = true
			}
		}
		return err
	})
	return there
}

// curl starts a client that knows nothing.
func (w *world) curl(args ...string) (*exec.Cmd, *bytes.Buffer) {
	w.t.Helper()
	path, err := exec.LookPath("curl")
	if err != nil {
		w.t.Skip("there is no curl")
	}
	var errs bytes.Buffer
	cmd := exec.Command(path, append([]string{"--silent", "--show-error", "--fail", "--max-time", fmt.Sprint(int(hang.Seconds()))}, args...)...)
	cmd.Stderr = &errs
	w.client.Do(cmd.Start)
	w.t.Cleanup(func() { _ = cmd.Process.Kill() })
	return cmd, &errs
}

// A client downloads while its session goes to and fro, and gets every byte once.
func TestDownloadMoves(t *testing.T) {
	const total, hops = 40 << 20, 4
	w := newWorld(t, false)
	file := filepath.Join(t.TempDir(), "got")
	cmd, errs := w.curl("--limit-rate", "20M", "-o", file, w.url(fmt.Sprint(total)))
	w.hops(hops)
	if err := cmd.Wait(); err != nil {
		t.Fatalf("curl: %v: %s", err, errs)
	}
	if sum := fileSum(t, file); sum != patternSum(total) {
		t.Errorf("curl got other bytes")
	}
}

// hops moves the session while it is there.
func (w *world) hops(n int) {
	w.t.Helper()
	for i := range n {
		s := w.sites[w.at]
		s.await("the session", func() bool { return len(s.ls()) == 1 })
		time.Sleep(100 * time.Millisecond)
		if m := w.move(); m.Sessions != 1 {
			w.t.Fatalf("hop %d: %+v", i, m)
		} else {
			w.t.Logf("hop %d: %d bytes, frozen for %d us", i, m.Bytes, m.FrozenUs)
		}
	}
}

func fileSum(t *testing.T, path string) string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(sum.Sum(nil))
}

func TestUploadMoves(t *testing.T) {
	const total, hops = 20 << 20, 4
	w := newWorld(t, false)
	b := make([]byte, total)
	pattern(b, 0)
	file := filepath.Join(t.TempDir(), "sent")
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd, errs := w.curl("--limit-rate", "10M", "-H", "Expect:", "-T", file, "-o", filepath.Join(t.TempDir(), "sum"), w.url("x"))
	w.hops(hops)
	if err := cmd.Wait(); err != nil {
		t.Fatalf("curl: %v: %s", err, errs)
	}
	got, err := os.ReadFile(cmd.Args[indexOf(cmd.Args, "-o")+1])
	if err != nil || strings.TrimSpace(string(got)) != patternSum(total) {
		t.Errorf("the server has got other bytes: %q, %v", got, err)
	}
}

func indexOf(all []string, s string) int {
	for i := range all {
		if all[i] == s {
			return i
		}
	}
	return -1
}
