// SPDX-License-Identifier: Apache-2.0

package cbox

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"
)

// hang is how long a test waits for what must come.
const hang = 2 * time.Minute

// dialed returns both ends of a TCP connection over loopback.
func dialed(t testing.TB) (client, server *net.TCPConn) {
	t.Helper()
	l, err := Listen(context.Background(), "tcp", "127.0.0.1:0", Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	s, err := l.AcceptTCP()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); s.Close() })
	_ = c.SetDeadline(time.Now().Add(hang))
	return c.(*net.TCPConn), s
}

// accepted returns a client and its session.
func accepted(t testing.TB, cfg Config) (*net.TCPConn, *Conn) {
	t.Helper()
	client, server := dialed(t)
	c, err := Create(server, cfg)
	if err != nil {
		t.Fatal(err)
	}
	_ = c.SetDeadline(time.Now().Add(hang))
	t.Cleanup(func() { c.letGo() })
	return client, c
}

// dup returns another descriptor of a socket, as a keeper has one.
func dup(t testing.TB, c *net.TCPConn) *net.TCPConn {
	t.Helper()
	var out *net.TCPConn
	if err := control(c, func(fd int) (err error) { out, err = connOf(fd); return }); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { out.Close() })
	return out
}

// again is what a process does that takes the place of a dead one: the first
// one is left as it is, wherever it was.
func again(t testing.TB, c *Conn, cfg Config) *Conn {
	t.Helper()
	n, err := Resume(c.Region(), dup(t, c.tcp), cfg)
	if err != nil {
		t.Fatal(err)
	}
	_ = n.SetDeadline(time.Now().Add(hang))
	t.Cleanup(func() { n.letGo() })
	return n
}

func send(t testing.TB, w io.Writer, s string) {
	t.Helper()
	if n, err := w.Write([]byte(s)); err != nil || n != len(s) {
		t.Fatalf("write %q: %d, %v", s, n, err)
	}
}

func get(t testing.TB, r io.Reader, want string) {
	t.Helper()
	b := make([]byte, len(want))
	if n, err := io.ReadFull(r, b); err != nil || string(b) != want {
		t.Fatalf("read %q (%v), want %q", b[:n], err, want)
	}
}

func atEnd(t testing.TB, r io.Reader) {
	t.Helper()
	if n, err := r.Read(make([]byte, 10)); n != 0 || err != io.EOF {
		t.Fatalf("read %d, %v, want the end", n, err)
	}
}

func export(t testing.TB, s interface{ Export([]byte) error }, state string) {
	t.Helper()
	if err := s.Export([]byte(state)); err != nil {
		t.Fatal(err)
	}
}

func imported(t testing.TB, s interface{ Import() ([]byte, bool) }, want string) {
	t.Helper()
	if got, ok := s.Import(); !ok || string(got) != want {
		t.Fatalf("imported %q, %v, want %q", got, ok, want)
	}
}

// nothing fails if there is something to read within a moment.
func nothing(t testing.TB, c net.Conn) {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(30 * time.Millisecond))
	b := make([]byte, 64)
	if n, err := c.Read(b); n > 0 || !errors.Is(err, context.DeadlineExceeded) && !isTimeout(err) {
		t.Fatalf("read %q, %v, want nothing", b[:n], err)
	}
	_ = c.SetReadDeadline(time.Now().Add(hang))
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}

func pattern(from, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte((from + i) * 7 >> 3)
	}
	return b
}

func same(t testing.TB, got, want []byte) {
	t.Helper()
	if !bytes.Equal(got, want) {
		t.Fatalf("%d bytes, %d wanted, or others", len(got), len(want))
	}
}
