// SPDX-License-Identifier: Apache-2.0

package control

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lazystate/backdoor"
	"lazystate/backdoor/bdtest"
)

// hang is how long a test waits for what must come.
const hang = time.Minute

func serve(t *testing.T, allow func(Peer) bool, h Handler) string {
	t.Helper()
	path, begin := listening(t, allow, h)
	begin()
	return path
}

// listening is serve in two steps: what comes before the second one waits.
func listening(t *testing.T, allow func(Peer) bool, h Handler) (path string, begin func()) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "run", "s")
	l, err := Listen(path, -1)
	if err != nil {
		t.Fatal(err)
	}
	return path, func() { begun(t, l, allow, h) }
}

func begun(t *testing.T, l *net.UnixListener, allow func(Peer) bool, h Handler) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); Serve(ctx, l, allow, h) }()
	t.Cleanup(func() {
		cancel()
		select {
		case <-done:
		case <-time.After(hang):
			t.Error("the server does not end")
		}
	})
}

func anybody(Peer) bool { return true }

func dial(t *testing.T, path string) *Client {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), hang)
	c, err := Dial(ctx, path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); cancel() })
	return c
}

func TestCall(t *testing.T) {
	path := serve(t, anybody, func(_ context.Context, who Peer, r Request, send func(any) error) error {
		switch r.Cmd {
		case "who":
			return send(who)
		case "false":
			return fmt.Errorf("not locked: %w", ErrFalse)
		}
		return errors.New("unknown command " + r.Cmd)
	})
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o660 {
		t.Errorf("socket %v, %v", st.Mode(), err)
	}
	c := dial(t, path)
	var who Peer
	if err := c.Call(Request{Cmd: "who"}, &who); err != nil || who.UID != uint32(os.Getuid()) || who.PID != int32(os.Getpid()) {
		t.Errorf("peer %+v, %v", who, err)
	}
	if err := c.Call(Request{Cmd: "false"}, nil); !errors.Is(err, ErrFalse) {
		t.Errorf("got %v", err)
	}
	if err := c.Call(Request{Cmd: "x"}, nil); err == nil || !strings.Contains(err.Error(), "unknown command x") {
		t.Errorf("got %v", err)
	}
	if _, err := Listen(path, -1); err == nil {
		t.Error("took the socket of a living server")
	}
}

func TestStrangersAreRefused(t *testing.T) {
	path := serve(t, func(Peer) bool { return false }, func(context.Context, Peer, Request, func(any) error) error {
		t.Error("the handler was called")
		return nil
	})
	if err := dial(t, path).Call(Request{Cmd: "targets"}, nil); err == nil || !strings.Contains(err.Error(), "permission denied") {
		t.Errorf("got %v", err)
	}
}

func TestAllow(t *testing.T) {
	own, gid, err := Allow("")
	if err != nil || gid != -1 || !own(Peer{UID: 0}) || !own(Peer{UID: uint32(os.Geteuid())}) || own(Peer{UID: 12345}) {
		t.Errorf("without a group: %v, %d", err, gid)
	}
	in, gid, err := Allow("daemon")
	if err != nil || !in(Peer{UID: 12345, GID: uint32(gid)}) || in(Peer{UID: 12345, GID: 54321}) {
		t.Errorf("group daemon: %v, %d", err, gid)
	}
	if _, _, err := Allow("no-such-group-at-all"); err == nil {
		t.Error("a group that does not exist was taken")
	}
}

func TestBadRequests(t *testing.T) {
	path := serve(t, anybody, func(_ context.Context, _ Peer, _ Request, send func(any) error) error { return send(1) })
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintln(conn, "{")
	b := make([]byte, 1000)
	n, err := conn.Read(b)
	if err != nil || !strings.Contains(string(b[:n]), "request: unexpected end") {
		t.Errorf("%q, %v", b[:n], err)
	}
	// A line without an end is cut off, not stored.
	if _, err := conn.Write(make([]byte, 2*longestRequest)); err == nil {
		conn.SetReadDeadline(time.Now().Add(hang))
		if n, err := conn.Read(b); err == nil {
			t.Errorf("answered %q", b[:n])
		}
	}
}

// Peers that say nothing lose their place; one that has spoken may stay.
func TestSilentPeersLoseTheirPlace(t *testing.T) {
	impatient(t)
	path := serve(t, anybody, func(_ context.Context, _ Peer, _ Request, send func(any) error) error { return send(1) })
	stays := answered(t, path)
	for range mostPeers {
		conn, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprint(conn, `{"cmd":`)
	}
	for range 2 {
		answered(t, path)
		time.Sleep(2 * patience)
	}
	if err := stays.Call(Request{Cmd: "x"}, nil); err != nil {
		t.Errorf("a peer that has spoken: %v", err)
	}
}

// answered is a peer that has spoken in time. One that a busy machine has kept from it
// has lost its place, as it should, and comes again.
func answered(t *testing.T, path string) *Client {
	t.Helper()
	for end := time.Now().Add(hang); ; {
		c := dial(t, path)
		err := c.Call(Request{Cmd: "x"}, nil)
		if err == nil {
			return c
		}
		if time.Now().After(end) {
			t.Fatalf("behind silent peers: %v", err)
		}
	}
}

// A peer that takes no answers ends what is done for it.
func TestPeerThatDoesNotRead(t *testing.T) {
	impatient(t)
	ended := make(chan error, 1)
	path, begin := listening(t, anybody, func(_ context.Context, _ Peer, _ Request, send func(any) error) (err error) {
		for err == nil {
			err = send(strings.Repeat("x", 1000))
		}
		ended <- err
		return err
	})
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintln(conn, `{"cmd":"watch"}`)
	begin() // it is there, however slow we are
	select {
	case err := <-ended:
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("ended by %v", err)
		}
	case <-time.After(hang):
		t.Error("the handler waits for its peer")
	}
}

func impatient(t *testing.T) {
	was := patience
	patience = 100 * time.Millisecond
	t.Cleanup(func() { patience = was })
}

func TestLeftoverSocketIsReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	again, err := Listen(path, -1)
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
}

// A mistyped path may name anything: nothing but a socket is replaced.
func TestOtherFilesAreNotReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	if err := os.WriteFile(path, []byte("kept"), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := Listen(path, -1)
	if err == nil {
		l.Close()
		t.Error("a socket was made where a file was")
	}
	if b, err := os.ReadFile(path); string(b) != "kept" {
		t.Errorf("the file holds %q, %v", b, err)
	}
}

func TestHostileTextIsEscaped(t *testing.T) {
	fake := bdtest.New()
	fake.AddProcess(bdtest.Proc{UID: 1000, Comm: "\x1b]0;root\a\n"})
	ctx := context.Background()
	target, err := backdoor.Open(ctx, fake.Memory())
	if err != nil {
		t.Fatal(err)
	}
	procs, err := Processes(ctx, target)
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, p := range procs {
		if strings.ContainsAny(p.Comm, "\x1b\a\n") {
			t.Errorf("comm %q", p.Comm)
		}
		found = found || p.Comm == `\x1b]0;root\a\n`
	}
	if !found {
		t.Errorf("processes %+v", procs)
	}
}

// Every knob has its row in the documentation.
func TestKnobsAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "### Hooks\n")
	section, _, _ = strings.Cut(section, "\n## ")
	for _, name := range KnobNames() {
		if !strings.Contains(section, "`"+name+"`") {
			t.Errorf("docs/operations.md has no knob %s", name)
		}
	}
}
