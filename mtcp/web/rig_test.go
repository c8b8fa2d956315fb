// SPDX-License-Identifier: Apache-2.0

package web

import (
	"context"
	"net"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lazystate/mtcp/cbox"
)

const hang = time.Minute

// kept is a session that outlives its servers, of which there is one at a time.
type kept struct {
	t      *testing.T
	h      http.Handler
	client *net.TCPConn
	conn   *net.TCPConn // a descriptor of our own
	region cbox.Region  // likewise

	mu      sync.Mutex
	servers []*server
}

// keep makes a session, which nobody serves yet.
func keep(t *testing.T, h http.Handler, cfg cbox.Config) *kept {
	t.Helper()
	l := must(cbox.Listen(context.Background(), "tcp", "127.0.0.1:0", cbox.Config{}))(t)
	defer l.Close()
	k := &kept{t: t, h: h}
	k.client = must(net.Dial("tcp", l.Addr().String()))(t).(*net.TCPConn)
	k.conn = must(l.AcceptTCP())(t)
	region := must(cbox.NewBox(k.conn, cfg))(t)
	k.region = dupRegion(t, region)
	_ = region.File.Close()
	_ = k.client.SetDeadline(time.Now().Add(hang))
	t.Cleanup(func() {
		for _, s := range k.servers {
			_ = s.Close()
			_ = s.bell.Close()
		}
		_ = k.client.Close()
		_ = k.conn.Close()
		_ = k.region.File.Close()
	})
	return k
}

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func dupRegion(t *testing.T, r cbox.Region) cbox.Region {
	fd := must(unix.FcntlInt(r.File.Fd(), unix.F_DUPFD_CLOEXEC, 0))(t)
	return cbox.Region{File: os.NewFile(uintptr(fd), "box"), Offset: r.Offset, Length: r.Length}
}

// dupConn does not use File, which makes the socket blocking for a moment, for
// the server that has it too.
func dupConn(t *testing.T, c *net.TCPConn) *net.TCPConn {
	raw := must(c.SyscallConn())(t)
	fd, inner := -1, error(nil)
	if err := raw.Control(func(s uintptr) { fd, inner = unix.FcntlInt(s, unix.F_DUPFD_CLOEXEC, 0) }); err != nil || inner != nil {
		t.Fatal(err, inner)
	}
	f := os.NewFile(uintptr(fd), "connection")
	defer f.Close()
	return must(net.FileConn(f))(t).(*net.TCPConn)
}

// serve has another server take the session over, whatever the one before is at.
// The one before that has noticed by now: of processes one at most is told late.
func (k *kept) serve() {
	k.mu.Lock()
	defer k.mu.Unlock()
	n := len(k.servers)
	if n > 1 {
		<-k.servers[n-2].closed
	}
	srv := &server{bell: must(cbox.NewBell())(k.t), closed: make(chan struct{})}
	s := must(cbox.Resume(dupRegion(k.t, k.region), dupConn(k.t, k.conn), cbox.Config{Bell: srv.bell}))(k.t)
	if n > 0 {
		if err := cbox.RingBell(k.servers[n-1].bell.File); err != nil {
			k.t.Error(err)
		}
	}
	srv.Handler = k.h
	srv.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateClosed {
			close(srv.closed)
		}
	}
	k.servers = append(k.servers, srv)
	l := &oneListener{make(chan net.Conn, 1)}
	l.c <- s
	go Serve(&srv.Server, l)
}

type server struct {
	http.Server
	bell   *cbox.Bell
	closed chan struct{} // when it has let go of the session
}

// oneListener is a listener with one connection.
type oneListener struct{ c chan net.Conn }

func (l *oneListener) Accept() (net.Conn, error) {
	if c, ok := <-l.c; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}
func (l *oneListener) Addr() net.Addr { return &net.TCPAddr{} }

func (l *oneListener) Close() error { close(l.c); return nil }
