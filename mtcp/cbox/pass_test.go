// SPDX-License-Identifier: Apache-2.0

package cbox

import (
	"errors"
	"net"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"lazystate/backdoor/uapi"
)

func unixPair(t *testing.T) (a, b *net.UnixConn) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	var out [2]*net.UnixConn
	for i, fd := range fds {
		f := os.NewFile(uintptr(fd), "unix")
		c, err := net.FileConn(f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		out[i] = c.(*net.UnixConn)
	}
	return out[0], out[1]
}

func TestPassWithConnection(t *testing.T) {
	client, c := accepted(t, Config{})
	send(t, client, "hello")
	get(t, c, "hell")
	export(t, c, "hell")
	a, b := unixPair(t)
	if err := Pass(a, c.Region(), c.ID(), 1, 0, c.tcp); err != nil {
		t.Fatal(err)
	}
	p, err := Take(b)
	if err != nil {
		t.Fatal(err)
	}
	if p.Session != c.ID() || p.Generation != 1 || p.Slot != 0 {
		t.Errorf("%+v", p)
	}
	n, err := Resume(p.Region, p.Conn, Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer n.letGo()
	imported(t, n, "hell")
	get(t, n, "o")
}

// A message without its descriptors, or with others, is refused and leaks none.
func TestTakeRefuses(t *testing.T) {
	a, b := unixPair(t)
	open := func() int {
		d, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(d)
	}
	before := open()
	_, c := dialed(t)
	send := func(msg []byte, conns int) {
		t.Helper()
		if err := control(c, func(fd int) error {
			var fds []int
			for range conns {
				fds = append(fds, fd)
			}
			var oob []byte
			if len(fds) > 0 {
				oob = unix.UnixRights(fds...)
			}
			_, _, err := a.WriteMsgUnix(msg, oob, nil)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if p, err := Take(b); err == nil {
			t.Errorf("%d bytes with %d descriptors were taken: %+v", len(msg), conns, p)
		}
	}
	msg := make([]byte, 56)
	send(msg, 1)
	copy(msg, "CBXPASS1")
	send(msg, 0)
	send(msg, 2)
	send(msg[:10], 1)
	c.Close()
	if after := open(); after > before+1 {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}

// A process without room for descriptors is told whose slot it cannot have.
func TestPassWithoutDescriptors(t *testing.T) {
	_, c := accepted(t, Config{})
	p := uapi.CboxPass{Magic: uapi.CboxPassMagic, Length: uint64(c.Region().Length), Session: c.ID(), Generation: 3, Slot: 0, Flags: uapi.CboxPassConn}
	_, err := passed(p.Encode(), nil)
	if bad := (*PassError)(nil); !errors.As(err, &bad) || bad.Session != c.ID() || bad.Generation != 3 || bad.Slot != 0 {
		t.Errorf("%v", err)
	}
	p.Magic++
	if _, err := passed(p.Encode(), nil); errors.As(err, new(*PassError)) || err == nil {
		t.Errorf("a message of something else: %v", err)
	}
}

// That all has been passed comes behind it, without a descriptor.
func TestPassedAll(t *testing.T) {
	a, b := unixPair(t)
	if err := PassedAll(a); err != nil {
		t.Fatal(err)
	}
	if p, err := Take(b); err != nil || !p.All || p.Region.File != nil || p.Conn != nil {
		t.Errorf("%+v, %v", p, err)
	}
	all := uapi.CboxPass{Magic: uapi.CboxPassMagic, Flags: uapi.CboxPassAll}
	if p, err := passed(all.Encode(), []int{0}); err == nil {
		t.Errorf("with a descriptor: %+v", p)
	}
}
