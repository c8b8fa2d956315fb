// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"lazystate/tools/lab/wire"
)

// fakeGuest answers like guestinit, without a kernel: run echoes its input,
// get answers ENOENT, wait never ends.
type fakeGuest struct {
	conn net.Conn
	w    *wire.Writer

	mu        sync.Mutex
	cancelled []uint32
	waiting   chan struct{}
}

func newFakeGuest(t *testing.T) (*fakeGuest, *channel) {
	t.Helper()
	guest, host := net.Pipe()
	g := &fakeGuest{conn: guest, w: wire.NewWriter(guest), waiting: make(chan struct{}, 16)}
	ch := newChannel(host)
	t.Cleanup(func() { guest.Close(); ch.close() })
	go g.serve()
	g.hello()
	<-ch.firstHello()
	return g, ch
}

func (g *fakeGuest) hello() { g.w.WriteJSON(wire.KindHello, 0, wire.Hello{BootID: "x"}) }

func (g *fakeGuest) serve() {
	r := wire.NewReader(g.conn)
	for {
		f, err := r.Next()
		if err != nil {
			return
		}
		switch f.Kind {
		case wire.KindRequest:
			g.request(f)
		case wire.KindStdin:
			g.w.Write(wire.Frame{Kind: wire.KindCredit, ID: f.ID})
			if len(f.Body) > 0 {
				g.w.Write(wire.Frame{Kind: wire.KindStdout, ID: f.ID, Body: f.Body})
			} else {
				g.w.WriteJSON(wire.KindReply, f.ID, wire.Reply{Exit: 3})
			}
		case wire.KindCancel:
			g.mu.Lock()
			g.cancelled = append(g.cancelled, f.ID)
			g.mu.Unlock()
		}
	}
}

func (g *fakeGuest) request(f wire.Frame) {
	var r wire.Request
	if err := json.Unmarshal(f.Body, &r); err != nil {
		panic(err)
	}
	switch r.Op {
	case wire.OpGet:
		g.w.WriteJSON(wire.KindReply, f.ID, wire.Reply{Error: "open: no such file", Errno: int(syscall.ENOENT)})
	case wire.OpWait:
		g.waiting <- struct{}{}
	case wire.OpPing:
		g.w.WriteJSON(wire.KindReply, f.ID, wire.Reply{})
	}
}

func (g *fakeGuest) cancels() int { g.mu.Lock(); defer g.mu.Unlock(); return len(g.cancelled) }

// echo sends more than the window and expects all of it back.
func echo(t *testing.T, ch *channel, char string) {
	t.Helper()
	in := strings.Repeat(char, 3*wire.StdinWindow*wire.MaxBody+5)
	var out bytes.Buffer
	r, err := ch.do(t.Context(), wire.Request{Op: wire.OpRun}, strings.NewReader(in), &out, nil)
	if err != nil || r.Exit != 3 || out.String() != in {
		t.Errorf("%d bytes of %d came back, exit %d, %v", out.Len(), len(in), r.Exit, err)
	}
}

func TestChannel(t *testing.T) {
	g, ch := newFakeGuest(t)
	var wg sync.WaitGroup
	for _, c := range []string{"a", "b", "c"} {
		wg.Go(func() { echo(t, ch, c) })
	}
	wg.Wait()
	_, err := ch.do(t.Context(), wire.Request{Op: wire.OpGet}, nil, nil, nil)
	var refused *GuestError
	if !errors.As(err, &refused) || refused.Op != wire.OpGet || !errors.Is(err, syscall.ENOENT) {
		t.Errorf("%#v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-g.waiting; cancel() }() // what was never sent is not cancelled
	if _, err := ch.do(ctx, wire.Request{Op: wire.OpWait}, nil, nil, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	waitGone(t, "the cancelled request", func() bool { return g.cancels() == 1 })
}

func TestChannelReboot(t *testing.T) {
	g, ch := newFakeGuest(t)
	under := make(chan error, 1)
	go func() {
		_, err := ch.do(t.Context(), wire.Request{Op: wire.OpWait}, nil, nil, nil)
		under <- err
	}()
	<-g.waiting
	<-g.waitingDone(ch)
	if err := <-under; !errors.Is(err, ErrRebooted) {
		t.Errorf("over a reboot: %v", err)
	}
	go func() {
		_, err := ch.do(t.Context(), wire.Request{Op: wire.OpWait}, nil, nil, nil)
		under <- err
	}()
	<-g.waiting
	g.conn.Close()
	if err := <-under; !errors.Is(err, ErrGone) {
		t.Errorf("over the end of the connection: %v", err)
	}
	if _, err := ch.do(t.Context(), wire.Request{Op: wire.OpPing}, nil, nil, nil); !errors.Is(err, ErrGone) {
		t.Errorf("after it: %v", err)
	}
}

// waitingDone says Hello once more and returns what the channel signals it by.
func (g *fakeGuest) waitingDone(ch *channel) <-chan struct{} {
	next := ch.nextHello()
	g.hello()
	return next
}

// TestResetWithoutAMachine: an order that nobody takes and a boot that never
// comes end with the channel, not with the time a boot may take.
func TestResetWithoutAMachine(t *testing.T) {
	ours, theirs := net.Pipe()
	vm := &VM{dir: stateDir(t.TempDir()), ch: newChannel(ours)}
	if err := os.WriteFile(vm.dir.file("qemu.log"), []byte("assertion failed\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(100*time.Millisecond, func() { theirs.Close() })
	start := time.Now()
	reset, wait := vm.Reset(t.Context()), vm.WaitBoot(t.Context(), time.Minute)
	if !errors.Is(reset, ErrGone) || !strings.Contains(reset.Error(), "assertion failed") || !errors.Is(wait, ErrGone) || time.Since(start) > 30*time.Second {
		t.Errorf("after %v: reset %v, wait %v", time.Since(start), reset, wait)
	}
}

func TestProxy(t *testing.T) {
	g, ch := newFakeGuest(t)
	down := make(chan struct{}, 1)
	path := filepath.Join(t.TempDir(), "p.sock")
	p, err := listenProxy(path, ch, func() { down <- struct{}{} })
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	var clients []*channel
	for range 3 {
		conn, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		c := newChannel(conn)
		<-c.firstHello()
		clients = append(clients, c)
	}
	var wg sync.WaitGroup
	for i, c := range append(clients, ch) { // ids of all clients start at 1
		wg.Go(func() { echo(t, c, string(rune('a'+i))) })
	}
	wg.Wait()
	if _, err := clients[0].do(t.Context(), wire.Request{Op: wire.OpGet}, nil, nil, nil); !errors.Is(err, syscall.ENOENT) {
		t.Errorf("errno over the proxy: %v", err)
	}
	go clients[1].do(t.Context(), wire.Request{Op: wire.OpWait}, nil, nil, nil)
	<-g.waiting
	clients[1].close() // the client is gone: the guest is told
	waitGone(t, "the request of a client that is gone", func() bool { return g.cancels() == 1 })
	if _, err := clients[2].do(t.Context(), wire.Request{Op: wire.OpOwnDown}, nil, nil, nil); err != nil {
		t.Fatal(err)
	}
	<-down
}

func TestProxyReboot(t *testing.T) {
	g, ch := newFakeGuest(t)
	path := filepath.Join(t.TempDir(), "p.sock")
	p, err := listenProxy(path, ch, func() {})
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	client := newChannel(conn)
	<-client.firstHello()
	next := client.nextHello()
	under := make(chan error, 1)
	go func() {
		_, err := client.do(t.Context(), wire.Request{Op: wire.OpWait}, nil, nil, nil)
		under <- err
	}()
	<-g.waiting
	g.hello()
	<-next
	if err := <-under; err == nil || !strings.Contains(err.Error(), ErrRebooted.Error()) {
		t.Errorf("over a reboot: %v", err)
	}
}
