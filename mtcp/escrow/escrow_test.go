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
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lazystate/internal/leash"
	"lazystate/tools/lab"
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
			err = itsTurn(os.NewFile(3, "what it has"))
		}
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

// itsTurn says that a daemon is there, and waits until it is to go on.
func itsTurn(f *os.File) error {
	_, err := f.Write([]byte{1})
	if err == nil {
		_, err = f.Read(make([]byte, 1))
	}
	return err
}

func self(t *testing.T, env string, f *os.File) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env, cmd.ExtraFiles, cmd.Stderr = append(os.Environ(), env), []*os.File{f}, os.Stderr
	if _, err := leash.Start(cmd, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	return cmd
}

// rig is a path, and how many holders have been started there.
type rig struct {
	t       *testing.T
	path    string
	room    time.Duration // as Escrow's
	mu      sync.Mutex
	holders []*exec.Cmd
}

func (r *rig) started() []*exec.Cmd {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.holders
}

func newRig(t *testing.T) *rig { return &rig{t: t, path: filepath.Join(t.TempDir(), "e"), room: hang} }

func (r *rig) open() (*Escrow, []Item) {
	r.t.Helper()
	e, left, err := Open(r.path, func(l *os.File) error {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.holders = append(r.holders, self(r.t, asHolder+"=1", l))
		return nil
	})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = e.Close() })
	e.mu.Lock()
	e.room = r.room // a holder that lives is read from as slowly as this machine is
	e.mu.Unlock()
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

// stop returns when none of a process's threads runs any more.
func stop(t *testing.T, p *os.Process) {
	t.Helper()
	if err := p.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	var is unix.WaitStatus
	if _, err := unix.Wait4(p.Pid, &is, unix.WUNTRACED, nil); err != nil || !is.Stopped() {
		t.Fatalf("%v, status %#x", err, is)
	}
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

// A daemon puts a descriptor in and is killed in the next instant, before the holder,
// which may be stopped, has looked: the next one has it. The holder ends when there is
// nothing to hold.
func TestOutlivesTheDaemon(t *testing.T) {
	for _, unread := range []bool{false, true} {
		t.Run(fmt.Sprintf("unread %t", unread), func(t *testing.T) { outlivesTheDaemon(t, unread) })
	}
}

func outlivesTheDaemon(t *testing.T, unread bool) {
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
	daemon, holder := self(t, asDaemon+"="+r.path, a), r.started()[0]
	if _, err := b.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if unread {
		stop(t, holder.Process)
	}
	if _, err := b.Write([]byte{1}); err != nil {
		t.Fatal(err)
	}
	if err := daemon.Wait(); err == nil || daemon.ProcessState.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Fatalf("the daemon: %v", err)
	}
	a.Close()
	if err := holder.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	next, left := r.open()
	if len(left) != 2 || len(r.started()) != 1 {
		t.Fatalf("%d are left, %d holders", len(left), len(r.started()))
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
	if err := holder.Wait(); err != nil {
		t.Errorf("the holder: %v", err)
	}
	if _, left := r.open(); len(left) != 0 || len(r.started()) != 2 {
		t.Errorf("%d are left with another holder of %d", len(left), len(r.started()))
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
	n := lab.Count(600, 5000)
	r := newRig(t)
	a, b := pipe(t)
	e, _ := r.open()
	var all []Deposit
	var owns, others []*os.File
	for i := range n {
		own, other := pipe(t)
		others = append(others, other)
		all = append(all, Deposit{Key{byte(i), byte(i >> 8)}, []byte{byte(i)}, []int{int(own.Fd()), int(a.Fd())}})
		owns = append(owns, own)
	}
	if err := e.Put(all...); err != nil {
		t.Fatal(err)
	}
	for _, own := range owns {
		own.Close()
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
	if err := r.started()[0].Wait(); err != nil {
		t.Errorf("the holder: %v", err)
	}
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
		_, err = leash.Start(cmd, syscall.SIGKILL)
		return err
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
