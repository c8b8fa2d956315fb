// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"

	"golang.org/x/sys/unix"

	"lazystate/internal/memfd"
)

// pair is both ends of rings, and of the socket beside them.
func pair(t *testing.T) (a, b *shared) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan *shared)
	go func() {
		c, err := share(&socket{fd: fds[1]}, false, offer{})
		if err != nil {
			t.Error(err)
		}
		got <- c
	}()
	if a, err = share(&socket{fd: fds[0]}, true, offer{}); err != nil {
		t.Fatal(err)
	}
	b = <-got
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

// What is written is read, in pieces of any size, over the end of the ring and of
// its counts.
func TestRingCarriesBytes(t *testing.T) {
	a, b := pair(t)
	for _, w := range []*ring{&a.out, &a.in} {
		w.tail.Store(1<<32 - 5000) // near where they wrap around
		w.head.Store(1<<32 - 5000)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	sent := make([]byte, 5*ringBytes)
	for i := range sent {
		sent[i] = byte(rng.Uint32())
	}
	done := make(chan error)
	go func() {
		rest := sent
		for len(rest) > 0 {
			n := min(len(rest), 1+rng.IntN(300000))
			if _, err := a.Write(rest[:n]); err != nil {
				done <- err
				return
			}
			rest = rest[n:]
		}
		done <- nil
	}()
	got := make([]byte, 0, len(sent))
	buf := make([]byte, 70000)
	for len(got) < len(sent) {
		n, err := b.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, buf[:n]...)
	}
	if err := <-done; err != nil || !bytes.Equal(got, sent) {
		t.Errorf("%v, equal %v", err, bytes.Equal(got, sent))
	}
}

// Who reads or writes is woken by the other's end, closed or dead, after what was
// there.
func TestRingEnds(t *testing.T) {
	for what, end := range map[string]func(b *shared){
		"closed": func(b *shared) { b.Close() },
		"dead":   func(b *shared) { b.socket.Close() },
	} {
		a, b := pair(t)
		if _, err := b.Write([]byte("last")); err != nil {
			t.Fatal(err)
		}
		errs := make(chan error, 2)
		go func() {
			_, err := a.Write(make([]byte, 3*ringBytes))
			errs <- err
		}()
		go func() {
			all, err := io.ReadAll(readerOnly{a})
			if string(all) != "last" {
				err = errors.New("it is not all there")
			}
			errs <- err
		}()
		end(b)
		bad := 0
		for range 2 {
			if <-errs != nil {
				bad++
			}
		}
		if bad != 1 {
			t.Errorf("%s: %d errors, only the writer has one", what, bad)
		}
	}
}

type readerOnly struct{ r io.Reader }

func (r readerOnly) Read(b []byte) (int, error) { return r.r.Read(b) }

// Closing ends one's own calls, however often.
func TestRingCloses(t *testing.T) {
	a, b := pair(t)
	read := make(chan error)
	go func() {
		_, err := a.Read(make([]byte, 1))
		read <- err
	}()
	for range 2 {
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-read; err == nil {
		t.Error("it reads on")
	}
	for _, err := range []error{second(a.Read(make([]byte, 1))), second(a.Write([]byte{1})), second(b.Write([]byte{1}))} {
		if err == nil {
			t.Error("it goes on")
		}
	}
}

func second(_ int, err error) error { return err }

// Counts that cannot be are not followed.
func TestRingWithWildCounts(t *testing.T) {
	for _, used := range []uint32{ringBytes + 1, 1 << 31, 1<<32 - 1} {
		a, b := pair(t)
		a.out.tail.Store(a.out.head.Load() + used)
		if _, err := b.Read(make([]byte, 10)); !errors.Is(err, errNonsense) {
			t.Errorf("%d bytes are read: %v", used, err)
		}
		b.in.head.Store(b.in.tail.Load() - used)
		if _, err := a.Write([]byte{1}); !errors.Is(err, errNonsense) {
			t.Errorf("%d bytes are there, and one is written: %v", used, err)
		}
	}
}

// Memory that could be cut, is too small or is no memory is not mapped.
func TestRingOfWrongMemory(t *testing.T) {
	small, err := memfd.Sealed("small", 4096)
	if err != nil {
		t.Fatal(err)
	}
	open, err := unix.MemfdCreate("open", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Ftruncate(open, ringTotal); err != nil {
		t.Fatal(err)
	}
	for what, fds := range map[string][]int{"small": {small}, "unsealed": {open}, "a socket": {0}, "two": {small, small}, "none": {}, "many": {small, small, small, small, small, small}} {
		ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		if what == "a socket" {
			fds = []int{ends[0]}
		}
		if err := unix.Sendmsg(ends[0], []byte{1}, unix.UnixRights(fds...), nil, 0); err != nil {
			t.Fatal(err)
		}
		s := &socket{fd: ends[1]}
		if _, err := share(s, false, offer{}); err == nil {
			t.Errorf("%s is taken", what)
		}
		s.Close()
		unix.Close(ends[0])
	}
	unix.Close(small)
	unix.Close(open)
}
