// SPDX-License-Identifier: Apache-2.0

package call

import (
	"bytes"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lazystate/backdoor/uapi"
	"lazystate/internal/memfd"
)

const testBase = 0x300000000000

// offer is a node with two locks and a region of four pages.
func offer(t testing.TB, private []byte) Offer {
	t.Helper()
	region, err := memfd.Sealed("region", 4*4096)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(region) })
	w := uapi.DsmWelcome{Base: testBase, Bytes: 4 * 4096, PageSize: 4096, Node: 1, Nodes: 3, Incarnation: 2, Locks: 2, Conds: 1}
	if private != nil {
		w.Flags = uapi.DsmRestored
	}
	return Offer{Welcome: w, Region: region, Device: -1, Private: private}
}

// listen accepts one program at a path.
func listen(t testing.TB, serve func(*net.UnixConn)) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: path, Net: "unixpacket"})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan bool)
	go func() {
		defer close(done)
		if conn, err := l.AcceptUnix(); err == nil {
			serve(conn)
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return path
}

// pair is a program and its server, in one process.
func pair(t testing.TB, private []byte) (*Program, *Server) {
	t.Helper()
	var s *Server
	o, ready := offer(t, private), make(chan error, 1)
	path := listen(t, func(conn *net.UnixConn) {
		var a Attached
		var err error
		if s, a, err = Accept(conn, o); err == nil {
			closeAll([]int{a.Uffd, a.Pagemap})
			err = s.Start(nil)
		}
		ready <- err
	})
	p, err := Join(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := <-ready; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil { // first: it is on a leash
			t.Error(err)
		}
		if err := s.Gone(); err != nil {
			t.Errorf("the program's end: %v", err)
		}
		s.Close()
	})
	return p, s
}

// serve answers calls until the end.
func serve(s *Server, answer func(Call) (uint32, Flags, string)) (wait func()) {
	done := make(chan bool)
	go func() {
		defer close(done)
		for {
			if c, ok := s.Next(); ok {
				s.Answer(answer(c))
				if c.Kind == uapi.DsmEnd {
					return
				}
			}
		}
	}()
	return func() { <-done }
}

func TestCalls(t *testing.T) {
	p, s := pair(t, nil)
	var seen []Call
	wait := serve(s, func(c Call) (uint32, Flags, string) {
		seen = append(seen, c)
		switch c.Kind {
		case uapi.DsmBarrier:
			return uapi.DsmOk, uapi.DsmDue, ""
		case uapi.DsmSignal:
			return uapi.DsmInvalid, uapi.DsmReplayed, "there is no such condition"
		}
		return uapi.DsmOk, 0, ""
	})
	if f, err := p.Acquire(1); err != nil || f != 0 {
		t.Errorf("acquire: %v, %v", f, err)
	}
	if f, err := p.Call(uapi.DsmBarrier, 7); err != nil || !f.Due() || f.Replayed() {
		t.Errorf("barrier: %v, %v", f, err)
	}
	f, err := p.Call(uapi.DsmSignal, 9)
	var e *Error
	if !errors.As(err, &e) || e.Cause != uapi.DsmInvalid || e.Kind != uapi.DsmSignal || !strings.Contains(err.Error(), "no such condition") || !f.Replayed() {
		t.Errorf("signal: %v, %v", f, err)
	}
	if _, err := p.Call(uapi.DsmEnd); err != nil {
		t.Error(err)
	}
	wait()
	if len(seen) != 4 || seen[0].Kind != uapi.DsmAcquire || seen[0].Args[0] != 1 || seen[1].Args[0] != 7 || seen[2].Args[0] != 9 {
		t.Errorf("%v", seen)
	}
}

// The region is the daemon's, and lies where it says.
func TestRegion(t *testing.T) {
	p, _ := pair(t, nil)
	if len(p.Region) != 4*4096 {
		t.Fatalf("%d bytes", len(p.Region))
	}
	p.Region[4096]++
	if p.Welcome.Node != 1 || p.Welcome.Nodes != 3 || p.Welcome.Incarnation != 2 {
		t.Errorf("%+v", p.Welcome)
	}
}

// Private state goes to the daemon at a checkpoint, and comes back after a
// restart. It may be of any size, and grow.
func TestPrivateState(t *testing.T) {
	old := bytes.Repeat([]byte("state"), 9000)
	p, s := pair(t, old)
	got, ok, err := p.Restored()
	if err != nil || !ok || !bytes.Equal(got, old) {
		t.Fatalf("%d bytes, %v, %v", len(got), ok, err)
	}
	var saved [][]byte
	wait := serve(s, func(c Call) (uint32, Flags, string) {
		if c.Kind == uapi.DsmCheckpoint {
			b, err := s.Private(c.Args[0])
			if err != nil {
				return uapi.DsmInvalid, 0, err.Error()
			}
			saved = append(saved, b)
		}
		return uapi.DsmOk, 0, ""
	})
	states := [][]byte{{}, []byte("x"), bytes.Repeat([]byte("new"), 100000), []byte("short")}
	for _, b := range states {
		if err := p.Checkpoint(b, false); err != nil {
			t.Error(err)
		}
	}
	if _, err := p.Call(uapi.DsmCheckpoint, 1<<40); err == nil {
		t.Error("more private state than there is was taken")
	}
	if _, err := p.Call(uapi.DsmEnd); err != nil {
		t.Error(err)
	}
	wait()
	for i, b := range states {
		if i >= len(saved) || !bytes.Equal(saved[i], b) {
			t.Errorf("state %d of %d bytes did not come", i, len(b))
		}
	}
}

func TestNothingRestored(t *testing.T) {
	p, _ := pair(t, nil)
	if b, ok, err := p.Restored(); b != nil || ok || err != nil {
		t.Errorf("%v, %v, %v", b, ok, err)
	}
}

// An operation that costs no call is in the ring before the daemon looks, and the
// daemon gives no token away that the program takes meanwhile: each operation
// that was noted was so in a turn in which its token was here.
func TestAlone(t *testing.T) {
	p, s := pair(t, nil)
	const rounds = 20000
	var alone, called int
	over := make(chan bool)
	go func() {
		defer close(over)
		for range rounds {
			if p.alone(uapi.DsmAcquire, 1) {
				alone++
			} else {
				called++
			}
		}
	}()
	here, taken := false, 0
	look := func() {
		done, err := s.Shut()
		if err != nil {
			t.Fatal(err)
		}
		if taken += len(done); len(done) > 0 && !here {
			t.Fatalf("%d operations with a token that was not here", len(done))
		}
	}
	for i, going := 0, true; going; i++ {
		select {
		case <-over:
			going = false
		default:
		}
		look()
		here = i%3 != 0
		s.Token(1, here)
		s.Open()
		runtime.Gosched() // on one processor the program has its turn
	}
	look()
	if taken != alone || alone+called != rounds {
		t.Errorf("%d taken, %d alone, %d called of %d", taken, alone, called, rounds)
	}
}

// What is full, shut or not there costs a call.
func TestNotAlone(t *testing.T) {
	p, s := pair(t, nil)
	if p.alone(uapi.DsmAcquire, 0) {
		t.Error("the gate is shut at first")
	}
	s.Token(0, true)
	s.Open()
	if p.alone(uapi.DsmAcquire, 1) || p.alone(uapi.DsmAcquire, 3) {
		t.Error("a lock that is not here, or does not exist")
	}
	for i := range ops {
		if !p.alone(uapi.DsmAcquire+uint32(i%2), 0) {
			t.Fatalf("operation %d", i)
		}
	}
	if p.alone(uapi.DsmAcquire, 0) {
		t.Error("the ring is full")
	}
	done, err := s.Shut()
	if err != nil || len(done) != ops || done[1] != (Op{uapi.DsmRelease, 0}) {
		t.Errorf("%d, %v", len(done), err)
	}
	if p.alone(uapi.DsmAcquire, 0) {
		t.Error("the gate is shut")
	}
	if s.Open(); !p.alone(uapi.DsmAcquire, 0) {
		t.Error("the ring is empty again")
	}
}

// A program that writes over the ring is told of, whatever it writes.
func TestWildRing(t *testing.T) {
	p, s := pair(t, nil)
	s.Open()
	p.ring.op(0).Store(77<<32 | 9)
	p.ring.gate().Add(1)
	if _, err := s.Shut(); err == nil {
		t.Error("an operation that does not exist")
	}
	s.Open()
	p.ring.gate().Add(ops + 1)
	if _, err := s.Shut(); err == nil {
		t.Error("more operations than fit")
	}
}

// A region that cannot be watched, or a program that is one too many, is told why.
func TestRefused(t *testing.T) {
	path := listen(t, func(conn *net.UnixConn) {
		_ = Refuse(conn, unix.EBUSY, "node 1 has its program")
		conn.Close()
	})
	if _, err := Join(path); !errors.Is(err, unix.EBUSY) || !strings.Contains(err.Error(), "has its program") {
		t.Error(err)
	}
	o := offer(t, nil)
	path = listen(t, func(conn *net.UnixConn) {
		if s, a, err := Accept(conn, o); err == nil {
			closeAll([]int{a.Uffd, a.Pagemap})
			_ = s.Start(unix.EOPNOTSUPP)
			s.Close()
		}
	})
	if _, err := Join(path); !errors.Is(err, unix.EOPNOTSUPP) {
		t.Error(err)
	}
	if _, err := Join(filepath.Join(t.TempDir(), "nobody")); err == nil {
		t.Error("nobody listens")
	}
}

// When its daemon dies the program dies, whatever it waits for.
func TestLeash(t *testing.T) {
	o := offer(t, nil)
	servers := make(chan *Server, 1)
	path := listen(t, func(conn *net.UnixConn) {
		s, a, err := Accept(conn, o)
		if err == nil {
			closeAll([]int{a.Uffd, a.Pagemap})
			err = s.Start(nil)
		}
		if err != nil {
			t.Error(err)
		}
		servers <- s
	})
	cmd := exec.Command(os.Args[0], "-test.run=^TestLeashed$", "-test.v")
	cmd.Env = append(os.Environ(), "DSM_TEST_SOCKET="+path)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s := <-servers
	for { // it has joined, and waits
		if c, ok := s.Next(); ok {
			if c.Kind != uapi.DsmBarrier {
				t.Errorf("%v", c)
			}
			break
		}
	}
	s.Close()
	err := cmd.Wait()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Errorf("the program ended with %v", err)
	}
}

// TestLeashed is the program of TestLeash.
func TestLeashed(t *testing.T) {
	path := os.Getenv("DSM_TEST_SOCKET")
	if path == "" {
		t.Skip("is started by TestLeash")
	}
	p, err := Join(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Call(uapi.DsmBarrier, 1); err != nil {
		t.Fatal(err)
	}
}

// hostile sets up with a daemon that sends b with fds, and is not set up.
func hostile(t *testing.T, b []byte, fds ...int) error {
	path := listen(t, func(conn *net.UnixConn) {
		_, _, _ = receive(conn, uapi.DsmHelloSize)
		_ = send(conn, b, fds...)
		time.Sleep(time.Millisecond)
		conn.Close()
	})
	p, err := Join(path)
	if err == nil {
		p.abandon()
		t.Error("joined")
	}
	return err
}

func TestHostileWelcome(t *testing.T) {
	o := offer(t, nil)
	good := o.Welcome
	good.Magic, good.RingBytes = uapi.DsmMagic, 4096
	fds := []int{o.Region, o.Region, o.Region}
	cases := map[string]func(*uapi.DsmWelcome){
		"ring of nonsense":  func(w *uapi.DsmWelcome) {},
		"no ring":           func(w *uapi.DsmWelcome) { w.RingBytes = 0 },
		"magic":             func(w *uapi.DsmWelcome) { w.Magic++ },
		"no region":         func(w *uapi.DsmWelcome) { w.Bytes = 0 },
		"huge region":       func(w *uapi.DsmWelcome) { w.Bytes = 1 << 60 },
		"region anywhere":   func(w *uapi.DsmWelcome) { w.Base = 1 << 63 },
		"region in the way": func(w *uapi.DsmWelcome) { w.Base = 0xc000000000 },
		"device":            func(w *uapi.DsmWelcome) { w.Flags = uapi.DsmDevice },
	}
	for name, change := range cases {
		w := good
		change(&w)
		if err := hostile(t, w.Encode(), fds...); err == nil {
			t.Errorf("%s: joined", name)
		}
	}
	if err := hostile(t, good.Encode()[:100], fds...); err == nil {
		t.Error("cut: joined")
	}
	if err := hostile(t, good.Encode()); err == nil {
		t.Error("without descriptors: joined")
	}
}

// Whatever lies in a ring, opening it reads within.
func FuzzOpenRing(f *testing.F) {
	good := make([]byte, RingBytes(3))
	newRing(good, 3)
	f.Add(good[:uapi.DsmRingSize+8])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, head []byte) {
		b := make([]byte, RingBytes(3))
		copy(b, head)
		r, err := openRing(b)
		if err != nil {
			return
		}
		p := &Program{ring: r}
		for lock := range uint32(8) {
			p.alone(uapi.DsmAcquire, lock)
		}
		_ = r.op(r.ops - 1).Load()
	})
}

func BenchmarkAlone(b *testing.B) {
	p, s := pair(b, nil)
	s.Token(0, true)
	s.Open()
	for i := 0; b.Loop(); i++ {
		if !p.alone(uapi.DsmAcquire+uint32(i%2), 0) {
			if _, err := s.Shut(); err != nil {
				b.Fatal(err)
			}
			s.Open()
		}
	}
}
