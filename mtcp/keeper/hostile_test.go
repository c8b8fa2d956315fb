// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lazystate/backdoor/uapi"
	"lazystate/mtcp/cbox"
)

// What one user has is bounded beside what all have, and given back; others have
// their own.
func TestShareOfAUser(t *testing.T) {
	k, socket := kept(t, Config{User: Share{Sessions: 1, Processes: 2, Listeners: 1}})
	c := web(t, socket, "web")
	_, s := accept(t, c, cbox.Config{})
	wants := func(what string, err, want error) {
		t.Helper()
		if !errors.Is(err, want) {
			t.Errorf("%s: %v", what, err)
		}
	}
	_, err := cbox.Create(newConn(t), c.Config(cbox.Config{}))
	wants("a second session", err, unix.EDQUOT)
	box, conn := carried(t)
	_, err = k.Reserve(uint32(os.Getuid()), "web", box.Region())
	wants("a second session that comes", err, unix.EDQUOT)
	wants("another user's", adopt(k, uint32(os.Getuid())+1, "web", box, conn), nil)
	web(t, socket, "web")
	_, err = Dial(socket, "web")
	wants("a third process", err, unix.EUSERS)
	for _, want := range []error{nil, unix.EDQUOT} {
		l, err := c.Listen(context.Background(), "tcp", "127.0.0.1:0", cbox.Config{})
		wants("a listener", err, want)
		if err == nil {
			defer l.Close()
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	k.Wait(hang, func(all []Info) bool { return len(all) == 1 })
	if _, err := cbox.Create(newConn(t), c.Config(cbox.Config{})); err != nil {
		t.Errorf("after the first one's end: %v", err)
	}
}

func TestLimits(t *testing.T) {
	_, socket := kept(t, Config{Sessions: 1, Processes: 2, Listeners: 1})
	c := web(t, socket, "web")
	_, s := accept(t, c, cbox.Config{})
	refused := func(what string, err error, want error) {
		t.Helper()
		if !errors.Is(err, want) {
			t.Errorf("%s: %v", what, err)
		}
	}
	conn := newConn(t)
	_, err := cbox.Create(conn, c.Config(cbox.Config{}))
	refused("a second session", err, unix.EDQUOT)
	web(t, socket, "web")
	_, err = Dial(socket, "web")
	refused("a third process", err, unix.EUSERS)
	_, err = Dial(socket, strings.Repeat("x", uapi.CboxName))
	refused("a long name", err, unix.ENAMETOOLONG)
	l, err := c.Listen(context.Background(), "tcp", "127.0.0.1:0", cbox.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, err = c.Listen(context.Background(), "tcp", "127.0.0.1:0", cbox.Config{})
	refused("a second listener", err, unix.EDQUOT)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	_, socket = kept(t, Config{Box: 64 << 10})
	_, err = cbox.Create(newConn(t), web(t, socket, "web").Config(cbox.Config{Log: 64 << 10}))
	refused("a large box", err, unix.EFBIG)
	k2, socket := kept(t, Config{Bytes: 100 << 10})
	c = web(t, socket, "web")
	accept(t, c, cbox.Config{})
	_, err = cbox.Create(newConn(t), c.Config(cbox.Config{Log: 64 << 10}))
	refused("more bytes", err, unix.EDQUOT)
	if len(k2.Sessions()) != 1 {
		t.Error("it was kept all the same")
	}
}

func newConn(t *testing.T) *net.TCPConn {
	t.Helper()
	l, err := cbox.Listen(context.Background(), "tcp", "127.0.0.1:0", cbox.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dial(t, l.Addr().(*net.TCPAddr).Port)
	c, err := l.AcceptTCP()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// carried is a session that comes from elsewhere.
func carried(t *testing.T) (*cbox.Box, *Conn) {
	t.Helper()
	return carriedOn(t, newConn(t))
}

// carriedOn is one of that connection, which its maker has given up.
func carriedOn(t *testing.T, conn *net.TCPConn) (*cbox.Box, *Conn) {
	t.Helper()
	s := must(cbox.Create(conn, cbox.Config{}))
	defer s.Abandon()
	r := s.Region()
	r.File = must(dup(r.File))
	f := must(conn.File())
	defer f.Close()
	return must(cbox.OpenBox(r)), must(dupConn(f))
}

// A process has no say in the sessions of another.
func TestOthersSessions(t *testing.T) {
	k, socket := kept(t, Config{})
	other := web(t, socket, "web")
	k.mu.Lock()
	for p := range k.processes {
		p.pid = 1 // somebody else
	}
	k.mu.Unlock()
	mine := web(t, socket, "web")
	_, s := accept(t, mine, cbox.Config{Processes: 2, Channels: 1})
	child, err := s.Associate("back", 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Hand(s.Session, child); !errors.Is(err, unix.EPERM) {
		t.Errorf("it hands a child of another's over: %v", err)
	}
	other.Done(s.ID(), s.Generation())
	if len(k.Sessions()) != 1 {
		t.Error("it ended a session of another's")
	}
	if err := other.Keep(s.ID(), s.Region(), newConn(t)); !errors.Is(err, unix.EBUSY) {
		t.Errorf("it keeps a session of another's as its own: %v", err)
	}
	twin := s.Region()
	twin.File = must(os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", twin.File.Fd()), os.O_RDWR, 0)) // the same box
	defer twin.File.Close()
	if err := mine.Keep(s.ID(), twin, newConn(t)); err != nil {
		t.Errorf("it says again what it has: %v", err)
	}
	_, third := accept(t, mine, cbox.Config{})
	if err := mine.Keep(s.ID(), third.Region(), newConn(t)); err == nil {
		t.Error("it passes a session off as another of its own")
	}
	if err := mine.Hand(s.Session, &cbox.Child{Slot: 77}); !errors.Is(err, unix.EPERM) {
		t.Errorf("a slot that is not there: %v", err)
	}
	if err := mine.Hand(s.Session, child); err != nil {
		t.Errorf("its own: %v", err)
	}
}

// A bell that blocks whoever rings it holds up nobody else.
func TestBellThatBlocks(t *testing.T) {
	k, socket := kept(t, Config{})
	c := web(t, socket, "web")
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	full := os.NewFile(uintptr(fd), "a bell that blocks")
	defer full.Close()
	if _, err := full.Write([]byte{0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}); err != nil {
		t.Fatal(err)
	}
	k.mu.Lock()
	for p := range k.processes {
		_ = p.bell.Close()
		p.bell = must(dup(full))
	}
	k.mu.Unlock()
	for range 5 {
		_, s := accept(t, c, cbox.Config{})
		must(k.Hold(s.ID(), hang)).Depart()
	}
	if n := len(k.Sessions()); n != 0 {
		t.Errorf("it holds %d", n)
	}
	if _, err := full.Read(make([]byte, 8)); err != nil { // let the ringer go
		t.Error(err)
	}
}

// blocking makes a descriptor block for all that have it.
func blocking(t *testing.T, f *os.File) {
	t.Helper()
	raw := must(f.SyscallConn())
	var inner error
	if err := errors.Join(raw.Control(func(fd uintptr) { inner = unix.SetNonblock(int(fd), false) }), inner); err != nil {
		t.Fatal(err)
	}
}

// What a process has given the keeper it still has, and can make it block when the keeper
// is about to use it: its bell, and the socket on which it is given sessions. Nobody waits
// for that, least of all whoever closes them with all others waiting.
func TestDescriptorsThatBlockLater(t *testing.T) {
	k, socket := kept(t, Config{})
	pair := must(unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0))
	sessions, far := os.NewFile(uintptr(pair[0]), "sessions"), os.NewFile(uintptr(pair[1]), "far")
	defer sessions.Close()
	defer far.Close() // which nobody reads
	bell := os.NewFile(uintptr(must(unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK))), "bell")
	defer bell.Close()
	c := must(net.DialUnix("unixpacket", nil, &net.UnixAddr{Name: socket, Net: "unixpacket"}))
	defer c.Close()
	q := uapi.ScdRequest{Magic: uapi.ScdMagic, Kind: uapi.ScdHello}
	uapi.PutCString(q.Name[:], "web")
	if _, _, err := c.WriteMsgUnix(q.Encode(), unix.UnixRights(int(bell.Fd()), pair[0]), nil); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Read(make([]byte, uapi.ScdAnswerSize)); n == 0 || err != nil {
		t.Fatal(n, err)
	}
	for err := error(nil); err != unix.EAGAIN; err = unix.Sendmsg(pair[0], make([]byte, 1000), nil, nil, unix.MSG_DONTWAIT) {
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := bell.Write([]byte{0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}); err != nil {
		t.Fatal(err)
	}
	blocking(t, sessions)
	blocking(t, bell)
	for range 2 {
		box, conn := carried(t)
		if err := adopt(k, uint32(os.Getuid()), "web", box, conn); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		k.mu.Lock()
		for p := range k.processes {
			k.wake(p)
		}
		k.mu.Unlock()
		time.Sleep(10 * time.Millisecond) // for the keeper to be where it would block
	}
	closed := make(chan struct{})
	go func() { k.Close(); close(closed) }()
	select {
	case <-closed:
	case <-time.After(hang):
		t.Fatal("the keeper waits for a process that lets it wait")
	}
}

// Who says what makes no sense is hung up on, and leaves no descriptor behind.
func TestNonsense(t *testing.T) {
	_, socket := kept(t, Config{})
	open := func() int { return len(must(os.ReadDir("/proc/self/fd"))) }
	before := open()
	hello := (&uapi.ScdRequest{Magic: uapi.ScdMagic, Kind: uapi.ScdHello, Name: [uapi.CboxName]byte{'x'}}).Encode()
	keep := (&uapi.ScdRequest{Magic: uapi.ScdMagic, Kind: uapi.ScdKeep}).Encode()
	for _, b := range [][]byte{hello, keep, []byte("hello"), append(hello, 0), make([]byte, uapi.ScdRequestSize)} {
		c, err := net.DialUnix("unixpacket", nil, &net.UnixAddr{Name: socket, Net: "unixpacket"})
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := c.WriteMsgUnix(b, unix.UnixRights(0), nil); err != nil {
			t.Fatal(err)
		}
		_ = c.SetReadDeadline(time.Now().Add(hang))
		if n, err := c.Read(make([]byte, 100)); err == nil {
			t.Errorf("%d bytes are answered by %d", len(b), n)
		}
		_ = c.Close()
	}
	for until := time.Now().Add(hang); open() > before; time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("%d descriptors before, %d after", before, open())
		}
	}
}

// told passes on that something was logged.
type told chan struct{}

func (c told) Write(b []byte) (int, error) {
	select {
	case c <- struct{}{}:
	default:
	}
	return len(b), nil
}

// Where no descriptor is left, processes are served again once there is one.
func TestNoDescriptorIsLeft(t *testing.T) {
	path := filepath.Join(t.TempDir(), "scd")
	l := must(net.ListenUnix("unixpacket", &net.UnixAddr{Name: path, Net: "unixpacket"}))
	said := make(told, 1)
	k := New(Config{Log: slog.New(slog.NewTextHandler(said, nil))})
	served := make(chan error, 1)
	go func() { served <- k.Serve(l) }()
	c := must(unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0))
	defer unix.Close(c)
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	none := before
	none.Cur = 0
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &none); err != nil {
		t.Fatal(err)
	}
	err := unix.Connect(c, &unix.SockaddrUnix{Name: path})
	if err == nil {
		select {
		case <-said:
		case err = <-served:
		}
	}
	if err := errors.Join(err, unix.Setrlimit(unix.RLIMIT_NOFILE, &before)); err != nil {
		t.Fatal(err)
	}
	web(t, path, "web")
	_ = l.Close()
	k.Close()
	if err := <-served; err != nil {
		t.Error(err)
	}
}

// Who connects and says nothing does not keep its place.
func TestSilentProcess(t *testing.T) {
	at := &net.UnixAddr{Name: filepath.Join(t.TempDir(), "scd"), Net: "unixpacket"}
	l := must(net.ListenUnix("unixpacket", at))
	defer l.Close()
	k := New(Config{})
	k.patience = time.Millisecond
	go k.Serve(l)
	c := must(net.DialUnix("unixpacket", nil, at))
	_ = c.SetReadDeadline(time.Now().Add(hang))
	if n, err := c.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("%d, %v", n, err)
	}
	_ = c.Close()
}

func FuzzParse(f *testing.F) {
	for kind := range uint32(8) {
		q := uapi.ScdRequest{Magic: uapi.ScdMagic, Kind: kind, Name: [uapi.CboxName]byte{'x'}}
		f.Add(q.Encode(), 2)
	}
	f.Add([]byte("short"), 0)
	f.Fuzz(func(t *testing.T, b []byte, n int) {
		q, err := parse(b, n)
		if err != nil {
			return
		}
		if uapi.CString(q.Name[:]) == "" && q.Kind == uapi.ScdHello || n != fdsOf[q.Kind] && q.Slot == 0 {
			t.Errorf("it passes: %+v with %d descriptors", q, n)
		}
	})
}
