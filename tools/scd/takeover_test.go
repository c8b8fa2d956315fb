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
	return w.hesitates().finish
}

// hesitant is a client that says its request in pieces.
type hesitant struct {
	net.Conn
	w    *world
	left string // to say
}

func (w *world) hesitates() *hesitant {
	w.t.Helper()
	h := &hesitant{w.dial(), w, "GET /100000 HTTP/1.1\r\nHost: x\r\n\r\n"}
	h.say(15)
	return h
}

// say says some more.
func (h *hesitant) say(n int) {
	h.w.t.Helper()
	if _, err := io.WriteString(h, h.left[:n]); err != nil {
		h.w.t.Fatal(err)
	}
	h.left = h.left[n:]
}

func (h *hesitant) finish() {
	h.w.t.Helper()
	_ = h.SetDeadline(time.Now().Add(hang)) // others may have taken their time
	h.say(len(h.left))
	got, err := io.ReadAll(h)
	if err != nil {
		h.w.t.Fatal(err)
	}
	_, body, _ := bytes.Cut(got, []byte("\r\n\r\n"))
	if sum := sha256.Sum256(body); hex.EncodeToString(sum[:]) != patternSum(100000) {
		h.w.t.Errorf("%d bytes, or others", len(body))
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

// A client downloads while its session goes to and fro, and gets every byte once.
func TestDownloadMoves(t *testing.T) {
	w := newWorld(t, false)
	end := w.download(w.addr, long)
	w.hops(4)
	end()
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

func TestUploadMoves(t *testing.T) {
	w := newWorld(t, false)
	end := w.upload(w.addr, long)
	w.hops(4)
	end()
}
