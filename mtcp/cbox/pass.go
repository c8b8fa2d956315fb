// SPDX-License-Identifier: Apache-2.0

package cbox

import (
	"fmt"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"lazystate/backdoor/uapi"
	"lazystate/internal/unixsock"
)

// Pass hands a slot of a box to the process at the other end of a unix socket,
// in C or in Go: one message, struct bd_cbox_pass. conn goes along if the slot
// is the root's, else it is nil.
func Pass(to *net.UnixConn, r Region, id ID, generation uint64, slot uint32, conn syscall.Conn) error {
	p := uapi.CboxPass{Magic: uapi.CboxPassMagic, Offset: uint64(r.Offset), Length: uint64(r.Length), Session: id, Generation: generation, Slot: slot}
	fds := []int{int(r.File.Fd())}
	send := func() error {
		if err := sendMsg(to, p.Encode(), unix.UnixRights(fds...)); err != nil {
			return fmt.Errorf("pass session %s: %w", id, err)
		}
		return nil
	}
	if conn == nil {
		return send()
	}
	p.Flags = uapi.CboxPassConn
	return control(conn, func(fd int) error {
		fds = append(fds, fd)
		return send()
	})
}

// PassedAll says that all slots have been passed that waited for the other process.
func PassedAll(to *net.UnixConn) error {
	p := uapi.CboxPass{Magic: uapi.CboxPassMagic, Flags: uapi.CboxPassAll}
	if err := sendMsg(to, p.Encode(), nil); err != nil {
		return fmt.Errorf("pass: %w", err)
	}
	return nil
}

// sendMsg is WriteMsgUnix, but for a socket that others have as well: they can make it
// block, and then whoever closes it would wait for a send that never ends.
func sendMsg(to *net.UnixConn, b, oob []byte) error {
	raw, err := to.SyscallConn()
	if err != nil {
		return err
	}
	var sent error
	err = raw.Write(func(fd uintptr) bool {
		_, sent = ignoringEINTR(func() (int, error) {
			return unix.SendmsgN(int(fd), b, oob, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		})
		return sent != unix.EAGAIN
	})
	if err != nil {
		return err
	}
	return os.NewSyscallError("sendmsg", sent)
}

// Passed is what Take has received.
type Passed struct {
	Region     Region
	Session    ID
	Generation uint64
	Slot       uint32
	Conn       *net.TCPConn // nil if none came along
	All        bool         // it is no slot: see PassedAll
}

// PassError is a slot that was passed, and that this process cannot have: it is at the
// limit of its descriptors, say.
type PassError struct {
	Session    ID
	Generation uint64
	Slot       uint32
	Err        error
}

func (e *PassError) Error() string {
	return fmt.Sprintf("take session %s, slot %d: %v", e.Session, e.Slot, e.Err)
}

func (e *PassError) Unwrap() error { return e.Err }

// Take receives what Pass and PassedAll send. The region is checked when it is opened. The error may
// be a *PassError.
func Take(from *net.UnixConn) (*Passed, error) {
	b, oob := make([]byte, uapi.CboxPassSize), make([]byte, unix.CmsgSpace(8*4))
	n, oobn, _, _, err := from.ReadMsgUnix(b, oob)
	if err != nil {
		return nil, err
	}
	fds, err := unixsock.Rights(oob[:oobn])
	if err != nil {
		return nil, err
	}
	p, err := passed(b[:n], fds)
	if err != nil {
		unixsock.Close(fds)
		return nil, err
	}
	return p, nil
}

// passed takes over the descriptors if it succeeds.
func passed(b []byte, fds []int) (*Passed, error) {
	var p uapi.CboxPass
	if err := p.Decode(b); err != nil {
		return nil, fmt.Errorf("take a session: %w", err)
	}
	if p.Magic != uapi.CboxPassMagic {
		return nil, damaged("message", "magic %#x", p.Magic)
	}
	out, err := taken(&p, fds)
	if err != nil {
		return nil, &PassError{p.Session, p.Generation, p.Slot, err}
	}
	return out, nil
}

func taken(p *uapi.CboxPass, fds []int) (*Passed, error) {
	want := 1
	switch {
	case p.Flags&uapi.CboxPassAll != 0:
		want = 0
	case p.Flags&uapi.CboxPassConn != 0:
		want = 2
	}
	if len(fds) != want || p.Length > uapi.CboxLenMax || p.Offset > 1<<40 {
		return nil, damaged("message", "%d descriptors of %d, %d bytes at %d", len(fds), want, p.Length, p.Offset)
	}
	if want == 0 {
		return &Passed{All: true}, nil
	}
	out := &Passed{Session: p.Session, Generation: p.Generation, Slot: p.Slot}
	if want == 2 {
		conn, err := connOf(fds[1])
		if err != nil {
			return nil, err
		}
		out.Conn = conn
		unix.Close(fds[1])
	}
	out.Region = Region{newFile(fds[0]), int64(p.Offset), int64(p.Length)}
	return out, nil
}

// connOf makes a connection of a descriptor, which stays the caller's.
func connOf(fd int) (*net.TCPConn, error) {
	dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("dup", err)
	}
	f := os.NewFile(uintptr(dup), "connection")
	defer f.Close()
	c, err := net.FileConn(f)
	if err != nil {
		return nil, err
	}
	t, ok := c.(*net.TCPConn)
	if !ok {
		c.Close()
		return nil, damaged("message", "a connection that is no TCP")
	}
	return t, nil
}
