// SPDX-License-Identifier: Apache-2.0

package cbox

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"lazystate/mtcp"
	"lazystate/tools/lab"
)

func TestNotMovable(t *testing.T) {
	refused := func(t *testing.T, c *net.TCPConn, want Reason) {
		t.Helper()
		var not *NotMovableError
		if _, err := Create(c, Config{}); !errors.As(err, &not) || not.Reason != want || !errors.Is(err, ErrNotMovable) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	t.Run("mptcp", func(t *testing.T) {
		l, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_MPTCP)
		if err != nil {
			lab.Skip(t, "no MPTCP in this kernel: "+err.Error())
		}
		unix.Close(l)
		// Go's own listener, and a client that speaks it: the default of Go.
		var lc net.ListenConfig
		gl, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer gl.Close()
		d := net.Dialer{}
		d.SetMultipathTCP(true)
		c, err := d.Dial("tcp", gl.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		s, err := gl.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		refused(t, s.(*net.TCPConn), MPTCP)
	})
	t.Run("mptcp client, our listener", func(t *testing.T) {
		l, err := Listen(t.Context(), "tcp", "127.0.0.1:0", Config{})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		d := net.Dialer{}
		d.SetMultipathTCP(true)
		c, err := d.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		s, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if _, ok := s.(*Conn); !ok {
			t.Errorf("it got no box: %T", s)
		}
	})
	t.Run("ulp", func(t *testing.T) {
		_, c := dialed(t)
		err := control(c, func(fd int) error { return unix.SetsockoptString(fd, unix.IPPROTO_TCP, unix.TCP_ULP, "tls") })
		if err != nil {
			t.Skip("this kernel has no tls: " + err.Error())
		}
		refused(t, c, ULP)
	})
	t.Run("md5", func(t *testing.T) {
		if os.Geteuid() != 0 {
			lab.Skip(t, "the kernel tells of keys only to who may set them: needs root")
		}
		_, c := dialed(t)
		if err := control(c, setMD5); err != nil {
			t.Skip("no TCP_MD5SIG here: " + err.Error())
		}
		var not *NotMovableError
		if err := control(c, CheckMovable); !errors.As(err, &not) || not.Reason != MD5 {
			t.Errorf("got %v", err)
		}
	})
	t.Run("urgent", func(t *testing.T) {
		client, c := dialed(t)
		if err := control(client, func(fd int) error { return unix.Sendto(fd, []byte("!"), unix.MSG_OOB, nil) }); err != nil {
			t.Fatal(err)
		}
		send(t, client, "x")
		for here := false; !here; {
			_ = control(c, func(fd int) error {
				info, err := tcpInfo(fd)
				here = err != nil || info.Bytes_received > 0
				return err
			})
		}
		refused(t, c, Urgent)
	})
	t.Run("filter", func(t *testing.T) {
		_, c := dialed(t)
		all := []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: 0xffff}}
		if err := control(c, func(fd int) error {
			return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &all[0]})
		}); errors.Is(err, unix.EPERM) && os.Geteuid() != 0 {
			lab.Skip(t, "this machine lets only root attach a filter: "+err.Error())
		} else if err != nil {
			t.Fatal(err)
		}
		refused(t, c, Filter)
	})
	t.Run("locked filter", func(t *testing.T) {
		_, c := dialed(t)
		if err := control(c, func(fd int) error { return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_LOCK_FILTER, 1) }); err != nil {
			t.Fatal(err)
		}
		refused(t, c, Filter)
	})
	t.Run("closed", func(t *testing.T) {
		client, c := dialed(t)
		_ = client.SetLinger(0)
		client.Close()
		_, _ = io.ReadAll(c)
		var state *mtcp.StateError
		if _, err := Create(c, Config{}); !errors.As(err, &state) {
			t.Errorf("got %v", err)
		}
	})
}

// setMD5 gives a socket a key for its peer: struct tcp_md5sig.
func setMD5(fd int) error {
	peer, err := unix.Getpeername(fd)
	if err != nil {
		return err
	}
	var sig struct {
		addr   unix.RawSockaddrInet4
		_      [128 - 16]byte
		flags  uint8
		prefix uint8
		keylen uint16
		ifidx  int32
		key    [80]byte
	}
	sig.addr = unix.RawSockaddrInet4{Family: unix.AF_INET, Addr: peer.(*unix.SockaddrInet4).Addr}
	sig.keylen = 3
	copy(sig.key[:], "key")
	_, _, e := unix.Syscall6(unix.SYS_SETSOCKOPT, uintptr(fd), unix.IPPROTO_TCP, unix.TCP_MD5SIG, uintptr(unsafe.Pointer(&sig)), unsafe.Sizeof(sig), 0)
	if e != 0 {
		return e
	}
	return nil
}

// A listener without an opinion serves what cannot be moved as it is.
func TestListenerRefuses(t *testing.T) {
	l, err := Listen(t.Context(), "tcp", "127.0.0.1:0", Config{Quota: &Quota{Boxes: 1}})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	accept := func() net.Conn {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		s, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s
	}
	if _, ok := accept().(*Conn); !ok {
		t.Error("the first has no box")
	}
	if _, ok := accept().(*net.TCPConn); !ok {
		t.Error("the second has one")
	}
	var told []error
	l.Refused = func(c net.Conn, err error) net.Conn {
		if told = append(told, err); len(told) == 2 {
			return c
		}
		return nil
	}
	go func() {
		if c, err := net.Dial("tcp", l.Addr().String()); err == nil {
			_, _ = c.Read(make([]byte, 1)) // until it is closed
			c.Close()
		}
	}()
	accept()
	var size *SizeError
	if len(told) != 2 || !errors.As(told[0], &size) {
		t.Errorf("told %v", told)
	}
}

// The kernel's counters say where the application is, in every state.
func TestCountersInEveryState(t *testing.T) {
	client, c := dialed(t)
	check := func(state mtcp.State, read, written uint64) {
		t.Helper()
		var got mtcp.Counters
		for end := time.Now().Add(hang); time.Now().Before(end); { // segments are on their way
			if err := control(c, func(fd int) (err error) { got, err = Counters(fd); return }); err != nil {
				t.Fatal(err)
			}
			if r, w, err := got.Offsets(); err == nil && got.State == state && r == read && w == written {
				return
			}
		}
		t.Errorf("%+v, want %v with %d read and %d written", got, state, read, written)
	}
	check(mtcp.Established, 0, 0)
	send(t, client, "0123456789")
	get(t, c, "0123")
	check(mtcp.Established, 4, 0)
	send(t, c, "hello")
	check(mtcp.Established, 4, 5)
	_ = c.CloseWrite()
	check(mtcp.FinWait2, 4, 5)
	client, c = dialed(t)
	send(t, client, "0123456789")
	_ = client.CloseWrite()
	check(mtcp.CloseWait, 0, 0)
	get(t, c, "0123456789")
	check(mtcp.CloseWait, 10, 0)
	atEnd(t, c)
	check(mtcp.CloseWait, 10, 0)
	send(t, c, "hello")
	check(mtcp.CloseWait, 10, 5)
	_ = c.CloseWrite() // LAST_ACK, until the client's kernel has answered
	check(mtcp.Close, 10, 5)
	client, c = dialed(t)
	send(t, client, "0123456789")
	get(t, c, "0123")
	send(t, c, "hello")
	_ = c.CloseWrite()
	get(t, client, "hello")
	atEnd(t, client)
	_ = client.CloseWrite()
	check(mtcp.Close, 4, 5)
	check(mtcp.Close, 4, 5) // to ask has consumed nothing
	get(t, c, "456789")
	check(mtcp.Close, 10, 5)
	atEnd(t, c)
	check(mtcp.Close, 10, 5)
}

// What was reset counts no more, whether or not its error was told, and asking
// consumes neither that nor what is unread.
func TestNothingCountsAfterAReset(t *testing.T) {
	for _, shuts := range []bool{false, true} {
		client, c := dialed(t)
		send(t, client, "0123456789")
		get(t, c, "0123")
		if shuts {
			_ = c.CloseWrite()
			atEnd(t, client)
		}
		_ = client.SetLinger(0)
		_ = client.Close()
		counts := func() (n mtcp.Counters) {
			if err := control(c, func(fd int) (err error) { n, err = Counters(fd); return }); err != nil {
				t.Fatal(err)
			}
			return n
		}
		for end := time.Now().Add(hang); counts().State != mtcp.Close; {
			if time.Now().After(end) {
				t.Fatalf("the socket stays in %v", counts().State)
			}
		}
		expect := func(when string) {
			t.Helper()
			var over *mtcp.StateError
			if read, written, err := counts().Offsets(); !errors.As(err, &over) {
				t.Errorf("%s: %d read, %d written, %v", when, read, written, err)
			}
		}
		expect("its error waits")
		get(t, c, "456789")
		if n, err := c.Read(make([]byte, 1)); n != 0 || !errors.Is(err, unix.ECONNRESET) {
			t.Errorf("then %d, %v", n, err)
		}
		expect("its error was told")
		atEnd(t, c) // as if it had ended
	}
}
