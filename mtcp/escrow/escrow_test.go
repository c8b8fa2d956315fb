// SPDX-License-Identifier: Apache-2.0

package escrow

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const (
	hang     = time.Minute
	asHolder = "ESCROW_HOLDER"
	asDaemon = "ESCROW_DAEMON"
)

// The test's own binary plays the holder, and a daemon that is killed.
func TestMain(m *testing.M) {
	switch {
	case os.Getenv(asHolder) != "":
		l, err := net.FileListener(os.NewFile(3, "listener"))
		if err == nil {
			err = Serve(context.Background(), l.(*net.UnixListener), hang)
		}
		if err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	case os.Getenv(asDaemon) != "":
		e, _, err := Open(os.Getenv(asDaemon), func(*os.File) error { return errors.New("there is one") })
		if err == nil {
			err = e.Put(Deposit{Key{7}, []byte("of a daemon"), []int{3}})
		}
		if err != nil {
			println(err.Error())
			os.Exit(1)
		}
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
	os.Exit(m.Run())
}

func self(t *testing.T, env string, f *os.File) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env, cmd.ExtraFiles, cmd.Stderr = append(os.Environ(), env), []*os.File{f}, os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	return cmd
}

// rig is a path, and how many holders have been started there.
type rig struct {
	t       *testing.T
	path    string
	holders []*exec.Cmd
}

func newRig(t *testing.T) *rig { return &rig{t: t, path: filepath.Join(t.TempDir(), "e")} }

func (r *rig) open() (*Escrow, []Item) {
	r.t.Helper()
	e, left, err := Open(r.path, func(l *os.File) error {
		r.holders = append(r.holders, self(r.t, asHolder+"=1", l))
		return nil
	})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = e.Close() })
	return e, left
}

// pipe returns both ends of a stream.
func pipe(t *testing.T) (a, b *os.File) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	a, b = os.NewFile(uintptr(fds[0]), "a"), os.NewFile(uintptr(fds[1]), "b")
	t.Cleanup(func() { _, _ = a.Close(), b.Close() })
	return a, b
}

// ends waits for the end of what the other side has open.
func ends(t *testing.T, f *os.File) {
	t.Helper()
	tv := unix.NsecToTimeval(hang.Nanoseconds())
	if err := unix.SetsockoptTimeval(int(f.Fd()), unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv); err != nil {
		t.Fatal(err)
	}
	n, err := unix.Read(int(f.Fd()), make([]byte, 1))
	for err == unix.EINTR {
		n, err = unix.Read(int(f.Fd()), make([]byte, 1))
	}
	if n != 0 || err != nil {
		t.Fatalf("it is still open: %d, %v", n, err)
	}
}

// A daemon puts a descriptor in and is killed in the next instant: the next one
// has it. The holder ends when there is nothing to hold.
func TestOutlivesTheDaemon(t *testing.T) {
	r := newRig(t)
	a, b := pipe(t)
	first, left := r.open()
	if len(left) != 0 {
		t.Fatalf("%d are there", len(left))
	}
	if err := first.Put(Deposit{Key{1}, []byte("kept"), []int{int(a.Fd()), int(a.Fd())}}); err != nil { // so that the holder outlives us
		t.Fatal(err)
	}
	_ = first.Close()
	daemon := self(t, asDaemon+"="+r.path, a)
	if err := daemon.Wait(); err == nil || daemon.ProcessState.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Fatalf("the daemon: %v", err)
	}
	a.Close()
	next, left := r.open()
	if len(left) != 2 || len(r.holders) != 1 {
		t.Fatalf("%d are left, %d holders", len(left), len(r.holders))
	}
	for _, it := range left {
		want := map[Key]string{{1}: "kept", {7}: "of a daemon"}[it.Key]
		if string(it.About) != want || len(it.Files) != map[Key]int{{1}: 2, {7}: 1}[it.Key] {
			t.Errorf("%x: %q, %d descriptors", it.Key, it.About, len(it.Files))
		}
		if _, err := it.Files[0].WriteString("x"); err != nil {
			t.Error(err)
		}
		if n, err := b.Read(make([]byte, 9)); n != 1 || err != nil {
			t.Errorf("it is another descriptor: %d, %v", n, err)
		}
		it.Close()
		next.Drop(it.Key)
	}
	ends(t, b)
	_ = next.Close()
	if err := r.holders[0].Wait(); err != nil {
		t.Errorf("the holder: %v", err)
	}
	if _, left := r.open(); len(left) != 0 || len(r.holders) != 2 {
		t.Errorf("%d are left with another holder of %d", len(left), len(r.holders))
	}
}

// What is put under a key again takes the place of what was there.
func TestPutAgain(t *testing.T) {
	r := newRig(t)
	a, b := pipe(t)
	c, d := pipe(t)
	e, _ := r.open()
	for _, f := range []*os.File{a, c} {
		if err := e.Put(Deposit{Key{1}, nil, []int{int(f.Fd())}}); err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	ends(t, b)
	e.Drop(Key{2}) // which was never there
	e.Drop(Key{1})
	ends(t, d)
}

// Many come together, with descriptors that they share, and go one by one: what they
// share is open until the last of them has gone.
func TestManyAtOnce(t *testing.T) {
	const n = 600
	r := newRig(t)
	a, b := pipe(t)
	e, _ := r.open()
	var all []Deposit
	var others []*os.File
	for i := range n {
		own, other := pipe(t)
		others = append(others, other)
		all = append(all, Deposit{Key{byte(i), byte(i >> 8)}, []byte{byte(i)}, []int{int(own.Fd()), int(a.Fd())}})
		defer own.Close()
	}
	if err := e.Put(all...); err != nil {
		t.Fatal(err)
	}
	_ = e.Close()
	next, left := r.open()
	if len(left) != n {
		t.Fatalf("%d are left", len(left))
	}
	for _, it := range left {
		if len(it.Files) != 2 || len(it.About) != 1 || it.About[0] != it.Key[0] {
			t.Errorf("%x: %x, %d descriptors", it.Key, it.About, len(it.Files))
		}
		if _, err := it.Files[0].Write([]byte{1}); err != nil {
			t.Error(err)
		}
		if m, err := others[int(it.Key[0])|int(it.Key[1])<<8].Read(make([]byte, 2)); m != 1 || err != nil {
			t.Errorf("%x has another's descriptor", it.Key)
		}
		it.Close()
	}
	a.Close()
	for i := range n {
		next.Drop(all[i].Key)
	}
	ends(t, b)
	_ = next.Close()
	if err := r.holders[0].Wait(); err != nil {
		t.Errorf("the holder: %v", err)
	}
}

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
		a, _ := pipe(t)
		b, client := pipe(t)
		e, _ := r.open()
		again := make(chan struct{}, 9)
		e.Renewed(func() { again <- struct{}{} })
		if err := e.Put(Deposit{Key{1}, nil, []int{int(a.Fd())}}, Deposit{Key{2}, nil, []int{int(b.Fd())}}); err != nil {
			t.Fatal(err)
		}
		holder := r.holders[0].Process
		if err := holder.Signal(sig); err != nil {
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
	again := make(chan struct{}, 1)
	e.Renewed(func() { again <- struct{}{} })
	if err := r.holders[0].Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-again
	if len(r.holders) != 2 {
		t.Errorf("%d holders have been started", len(r.holders))
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
	if err := r.holders[0].Wait(); err != nil {
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

// Too much is refused where it is put, and a daemon without an escrow goes on.
func TestPutRefuses(t *testing.T) {
	r := newRig(t)
	e, _ := r.open()
	for _, err := range []error{e.Put(Deposit{}), e.Put(Deposit{About: make([]byte, mostAbout+1), FDs: []int{0}}), e.Put(Deposit{FDs: []int{0, 0, 0, 0, 0}})} {
		if err == nil {
			t.Error("it is held")
		}
	}
	var none *Escrow
	if err := errors.Join(none.Put(Deposit{FDs: []int{0}}), none.Close()); err != nil {
		t.Error(err)
	}
	none.Drop(Key{})
}

func FuzzDecode(f *testing.F) {
	f.Add(encode(put, entry{Key{1}, []byte("about"), []byte{0, 1}}, entry{Key{2}, nil, []byte{1}}), 2)
	f.Add(encode(end), 0)
	f.Add([]byte("short"), 0)
	f.Fuzz(func(t *testing.T, b []byte, fds int) {
		kind, all, err := decode(b, fds)
		if err == nil && !bytes.Equal(encode(kind, all...), b) {
			t.Errorf("%x is %d %+v", b, kind, all)
		}
	})
}

// What sessions pay that go into escrow and out again, alone and a thousand at once.
func BenchmarkPutDrop(b *testing.B) {
	for _, n := range []int{1, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) { putDrop(b, n) })
	}
}

func putDrop(b *testing.B, n int) {
	path := filepath.Join(b.TempDir(), "e")
	e, _, err := Open(path, func(f *os.File) error {
		exe, err := os.Executable()
		if err != nil {
			return err
		}
		cmd := exec.Command(exe)
		cmd.Env, cmd.ExtraFiles = append(os.Environ(), asHolder+"=1"), []*os.File{f}
		return cmd.Start()
	})
	if err != nil {
		b.Fatal(err)
	}
	defer e.Close()
	about, all := make([]byte, 400), make([]Deposit, n)
	for i := range all {
		own, err := unix.FcntlInt(0, unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			b.Fatal(err)
		}
		defer unix.Close(own)
		other, err := unix.FcntlInt(0, unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			b.Fatal(err)
		}
		defer unix.Close(other)
		all[i] = Deposit{Key{byte(i), byte(i >> 8)}, about, []int{own, other, 2}}
	}
	for b.Loop() {
		err := e.Put(all...)
		for _, d := range all {
			e.Drop(d.Key)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/session")
}
