// SPDX-License-Identifier: Apache-2.0

package escrow

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// Nobody comes for what is held: it is let go of in the end.
func TestPatience(t *testing.T) {
	path := filepath.Join(t.TempDir(), "e")
	a, b := pipe(t)
	served := make(chan error, 1)
	e, _, err := Open(path, func(f *os.File) error {
		l, err := net.FileListener(f)
		if err == nil {
			go func() { served <- Serve(t.Context(), l.(*net.UnixListener), 50*time.Millisecond) }()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Put(Deposit{Key{1}, nil, []int{int(a.Fd())}}); err != nil {
		t.Fatal(err)
	}
	a.Close()
	_ = e.Close()
	if err := <-served; err != nil {
		t.Error(err)
	}
	ends(t, b)
}

// A holder that is killed, or stopped, costs the protection of what comes meanwhile,
// and no time. Another one takes its place, or it goes on, and what was dropped over
// that is not kept open by it.
func TestHolderFails(t *testing.T) {
	for what, sig := range map[string]syscall.Signal{"killed": syscall.SIGKILL, "stopped": syscall.SIGSTOP} {
		r := newRig(t)
		r.room = roomBound
		a, _ := pipe(t)
		b, client := pipe(t)
		e, _ := r.open()
		again := make(chan struct{}, 9)
		e.Renewed(func(error) { again <- struct{}{} })
		if err := e.Put(Deposit{Key{1}, nil, []int{int(a.Fd())}}, Deposit{Key{2}, nil, []int{int(b.Fd())}}); err != nil {
			t.Fatal(err)
		}
		holder := r.started()[0].Process
		if sig == syscall.SIGSTOP {
			stop(t, holder)
		} else if err := holder.Kill(); err != nil {
			t.Fatal(err)
		}
		put := func(n int) error { return e.Put(Deposit{Key{3, byte(n), byte(n >> 8)}, nil, []int{int(b.Fd())}}) }
		n := 0
		for ; put(n) == nil; n++ { // some find room with one that is stopped
			if n > 1<<16 {
				t.Fatalf("%s: %d are held", what, n)
			}
		}
		for ; n >= 0; n-- {
			e.Drop(Key{3, byte(n), byte(n >> 8)})
		}
		e.Drop(Key{2})
		b.Close()
		if sig == syscall.SIGSTOP {
			if err := holder.Signal(syscall.SIGCONT); err != nil {
				t.Fatal(err)
			}
		}
		ends(t, client)
		<-again
		if err := e.Put(Deposit{Key{4}, nil, []int{int(a.Fd())}}); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		_ = e.Close()
		if _, left := r.open(); len(left) != map[string]int{"killed": 1, "stopped": 2}[what] {
			t.Errorf("%s: %d are left", what, len(left))
		}
	}
}

// A holder that is killed is missed before anybody has something to say to it.
func TestHolderIsMissed(t *testing.T) {
	r := newRig(t)
	e, _ := r.open()
	again := make(chan error, 1)
	e.Renewed(func(lost error) { again <- lost })
	if err := r.started()[0].Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if lost := <-again; !errors.Is(lost, io.EOF) {
		t.Errorf("it was lost: %v", lost)
	}
	if len(r.started()) != 2 {
		t.Errorf("%d holders have been started", len(r.started()))
	}
}

// A holder that did not answer a daemon when that began keeps what an earlier one has
// left for the next one.
func TestHolderAnswersLate(t *testing.T) {
	r := newRig(t)
	a, _ := pipe(t)
	first, _ := r.open()
	if err := first.Put(Deposit{Key{1}, nil, []int{int(a.Fd())}}); err != nil {
		t.Fatal(err)
	}
	_ = first.Close()
	e := &Escrow{path: r.path, keys: map[Key]struct{}{}, room: hang, broken: os.ErrDeadlineExceeded} // as Open leaves it then
	e.closed, e.close = context.WithCancel(t.Context())
	go e.renew()
	for end := time.Now().Add(hang); e.Put(Deposit{Key{2}, nil, []int{int(a.Fd())}}) != nil; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it does not answer")
		}
	}
	_ = e.Close()
	if _, left := r.open(); len(left) != 2 {
		t.Errorf("%d are left", len(left))
	}
}

// A daemon that finds no holder when it begins has one later.
func TestHolderComesLate(t *testing.T) {
	r := newRig(t)
	begun := false
	e, _, err := Open(r.path, func(l *os.File) error {
		if !begun {
			begun = true
			return errors.New("not yet")
		}
		self(t, asHolder+"=1", l)
		return nil
	})
	if err == nil {
		t.Error("there is one at once")
	}
	defer e.Close()
	a, _ := pipe(t)
	for end := time.Now().Add(hang); e.Put(Deposit{Key{1}, nil, []int{int(a.Fd())}}) != nil; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("there is none")
		}
	}
}

// Nobody is to come for what is held: it is let go of, and the holder has ended. One
// that has a daemon is left alone.
func TestEmpty(t *testing.T) {
	r := newRig(t)
	if n, err := Empty(r.path); n != 0 || err != nil {
		t.Errorf("where nobody is: %d, %v", n, err)
	}
	a, b := pipe(t)
	e, _ := r.open()
	const n = 2*mostDrops + 1
	for i := range n {
		if err := e.Put(Deposit{Key{byte(i), byte(i >> 8)}, nil, []int{int(a.Fd())}}); err != nil {
			t.Fatal(err)
		}
	}
	_, _ = a.Close(), e.Close()
	if got, err := Empty(r.path); got != n || err != nil {
		t.Errorf("%d, %v", got, err)
	}
	ends(t, b)
	if err := r.started()[0].Wait(); err != nil {
		t.Errorf("the holder: %v", err)
	}
	if n, err := Empty(r.path); n != 0 || err != nil {
		t.Errorf("where one has been: %d, %v", n, err)
	}
}

// A holder and a daemon of two releases tell each other so.
func TestAnotherRelease(t *testing.T) {
	path := filepath.Join(t.TempDir(), "e")
	c, err := dial(path, func(l *os.File) error { self(t, asHolder+"=1", l); return nil })
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	old := encode(list)
	old[len(magic)]++
	if err := send(c, old); err != nil {
		t.Fatal(err)
	}
	if kind, _, _, err := newBuffers().receive(c); kind != end || err != nil {
		t.Errorf("it says %d, %v", kind, err)
	}
	if _, _, err := decode(old, 0); !errors.As(err, new(*VersionError)) {
		t.Errorf("%v", err)
	}
}

// A daemon of another release that comes again and again does not keep a holder from
// ending: nobody else could come for what it has.
func TestAnotherReleaseIsInVain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "e")
	served := make(chan error, 1)
	e, _, err := Open(path, func(f *os.File) error {
		l, err := net.FileListener(f)
		if err == nil {
			go func() {
				served <- errors.Join(Serve(t.Context(), l.(*net.UnixListener), 50*time.Millisecond), l.Close())
			}()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	a, b := pipe(t)
	if err := e.Put(Deposit{Key{1}, nil, []int{int(a.Fd())}}); err != nil {
		t.Fatal(err)
	}
	_, _ = a.Close(), e.Close()
	other := encode(list)
	other[len(magic)]++
	for until := time.Now().Add(hang); ; {
		c, err := net.DialUnix("unixpacket", nil, &net.UnixAddr{Name: path, Net: "unixpacket"})
		if err != nil {
			break
		}
		_ = send(c, other)
		_, _, _, _ = newBuffers().receive(c)
		_ = c.Close()
		if time.Now().After(until) {
			t.Fatal("it is still there")
		}
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
	ends(t, b)
}

// Whoever ends a holder does not have to kill it.
func TestHolderIsEnded(t *testing.T) {
	ctx, end := context.WithCancel(t.Context())
	a, b := pipe(t)
	served := make(chan error, 1)
	e, _, err := Open(filepath.Join(t.TempDir(), "e"), func(f *os.File) error {
		l, err := net.FileListener(f)
		if err == nil {
			go func() { served <- Serve(ctx, l.(*net.UnixListener), hang) }()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Put(Deposit{Key{1}, nil, []int{int(a.Fd())}}); err != nil {
		t.Fatal(err)
	}
	a.Close()
	end()
	if err := <-served; err != nil {
		t.Error(err)
	}
	ends(t, b)
	_ = e.Close()
}
