// SPDX-License-Identifier: Apache-2.0

package unixsock

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func pair(t *testing.T) (a, b *net.UnixConn) {
	t.Helper()
	at := &net.UnixAddr{Name: filepath.Join(t.TempDir(), "s"), Net: "unixpacket"}
	l, err := net.ListenUnix("unixpacket", at)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if a, err = net.DialUnix("unixpacket", nil, at); err != nil {
		t.Fatal(err)
	}
	if b, err = l.AcceptUnix(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

// receive reads one message and what came with it.
func receive(t *testing.T, c *net.UnixConn) ([]int, error) {
	t.Helper()
	oob := make([]byte, 256)
	_, n, _, _, err := c.ReadMsgUnix(make([]byte, 8), oob)
	if err != nil {
		t.Fatal(err)
	}
	return Rights(oob[:n])
}

// What comes is what was sent, and no program that is started has it.
func TestRights(t *testing.T) {
	a, b := pair(t)
	for _, n := range []int{0, 1, 3} {
		var sent []int
		for range n {
			sent = append(sent, int(os.Stdin.Fd()))
		}
		oob := unix.UnixRights(sent...)
		if n == 0 {
			oob = nil
		}
		if _, _, err := a.WriteMsgUnix([]byte("x"), oob, nil); err != nil {
			t.Fatal(err)
		}
		got, err := receive(t, b)
		if err != nil || len(got) != n {
			t.Errorf("%d of %d, %v", len(got), n, err)
		}
		for _, fd := range got {
			if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
				t.Errorf("flags %#x, %v", flags, err)
			}
		}
		Close(got)
	}
}

// Credentials that nobody has asked for are an error, and a descriptor that came
// behind them does not stay open.
func TestOtherControlData(t *testing.T) {
	a, b := pair(t)
	raw, err := b.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PASSCRED, 1) }); err != nil {
		t.Fatal(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, _, err := a.WriteMsgUnix([]byte("x"), unix.UnixRights(int(w.Fd())), nil); err != nil {
		t.Fatal(err)
	}
	if fds, err := receive(t, b); err == nil {
		t.Errorf("taken for descriptors: %v", fds)
	}
	w.Close()
	if err := r.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the pipe's other end is still open: %v", err)
	}
}

func TestPeer(t *testing.T) {
	a, _ := pair(t)
	cred, err := Peer(a)
	if err != nil || int(cred.Pid) != os.Getpid() || int(cred.Uid) != os.Geteuid() {
		t.Errorf("%+v, %v", cred, err)
	}
	a.Close()
	if cred, err := Peer(a); err == nil {
		t.Errorf("of a socket that is closed: %+v", cred)
	}
}

// Control data that is no list of descriptors gives none, and leaves none open.
func FuzzRights(f *testing.F) {
	f.Add([]byte{})
	f.Add(unix.UnixRights()[:8])
	f.Add([]byte{20, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 1, 2, 3})
	f.Fuzz(func(t *testing.T, oob []byte) {
		for i := range oob {
			if i >= 16 {
				oob[i] = 0xff // no descriptor of this process
			}
		}
		fds, err := Rights(oob)
		if err != nil && len(fds) > 0 {
			t.Errorf("%v and %v", fds, err)
		}
	})
}
