// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"lazystate/backdoor/uapi"
	"lazystate/internal/unixsock"
	"lazystate/mtcp/cbox"
)

// fdsOf is how many descriptors come with a request.
var fdsOf = map[uint32]int{uapi.ScdHello: 2, uapi.ScdKeep: 2, uapi.ScdDone: 0, uapi.ScdHand: 0, uapi.ScdListen: 1, uapi.ScdListener: 0}

// parse decodes a request that came with n descriptors; it may be hostile.
func parse(b []byte, n int) (*uapi.ScdRequest, error) {
	q := &uapi.ScdRequest{}
	if err := q.Decode(b); err != nil {
		return nil, err
	}
	want, known := fdsOf[q.Kind]
	if q.Kind == uapi.ScdKeep && q.Slot != 0 {
		want = 1
	}
	if q.Magic != uapi.ScdMagic || len(b) != uapi.ScdRequestSize || !known || n != want {
		return nil, fmt.Errorf("request of kind %d, %d bytes, %d descriptors", q.Kind, len(b), n)
	}
	if !slices.Contains(q.Name[:], 0) || q.Kind == uapi.ScdHello && q.Name[0] == 0 {
		return nil, fmt.Errorf("request without a name")
	}
	if q.Length > uapi.CboxLenMax || q.Offset > 1<<40 || q.Port > 65535 {
		return nil, fmt.Errorf("request about %d bytes at %d, port %d", q.Length, q.Offset, q.Port)
	}
	return q, nil
}

// message reads one message and its descriptors, which are the caller's.
func message(c *net.UnixConn, b []byte) (int, []*os.File, error) {
	oob := make([]byte, unix.CmsgSpace(8*4))
	n, oobn, flags, _, err := c.ReadMsgUnix(b, oob)
	if err != nil {
		return 0, nil, err
	}
	fds, err := unixsock.Rights(oob[:oobn])
	if err != nil {
		return 0, nil, err
	}
	var files []*os.File
	for _, fd := range fds {
		files = append(files, os.NewFile(uintptr(fd), "passed"))
	}
	switch {
	case n == 0:
		err = io.EOF
	case flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC) != 0:
		err = fmt.Errorf("message of more than %d bytes or 8 descriptors", len(b))
	}
	if err != nil {
		closeAll(files)
		return 0, nil, err
	}
	return n, files, nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		_ = f.Close()
	}
}

// talk answers a process until it hangs up or says what makes no sense.
func (k *Keeper) talk(c *net.UnixConn) {
	defer c.Close()
	var p *process
	b := make([]byte, uapi.ScdRequestSize+1)
	_ = c.SetReadDeadline(time.Now().Add(k.patience))
	for {
		n, files, err := message(c, b)
		if err == nil {
			err = k.answer(c, &p, b[:n], files)
			closeAll(files)
		}
		if p != nil {
			_ = c.SetReadDeadline(time.Time{})
		}
		if err != nil {
			if !errors.Is(err, io.EOF) && !errors.Is(err, unix.ECONNRESET) && !errors.Is(err, net.ErrClosed) {
				k.noisy.Warn("talk to a process", "err", err)
			}
			break
		}
	}
	if p != nil {
		k.hungUp(p)
	}
}

// answer does what a request asks for. Descriptors that are to stay open are
// duplicated: all that came are closed.
func (k *Keeper) answer(c *net.UnixConn, p **process, b []byte, files []*os.File) error {
	q, err := parse(b, len(files))
	if err != nil {
		return err
	}
	if (*p == nil) != (q.Kind == uapi.ScdHello) {
		return fmt.Errorf("%s out of turn", uapi.ScdKindName(q.Kind))
	}
	var with *os.File
	if q.Kind == uapi.ScdHello {
		*p, err = k.hello(c, q, files)
	} else {
		with, err = k.do(*p, q, files)
	}
	a := uapi.ScdAnswer{Magic: uapi.ScdMagic, Kind: q.Kind, Error: errno(err)}
	if q.Kind == uapi.ScdHello && err == nil {
		a.Most = (*p).waited
	}
	if over := (*LimitError)(nil); errors.As(err, &over) {
		a.Limit, a.Most = over.Limit, uint64(over.Most)
		if over.User {
			a.User = 1
		}
	}
	if err != nil {
		k.refusal(*p, q, err)
	}
	var oob []byte
	if with != nil {
		defer with.Close()
		oob = unix.UnixRights(int(with.Fd()))
	}
	_, _, err = c.WriteMsgUnix(a.Encode(), oob, nil)
	return err
}

// refusal logs why a request was not granted. Everybody may ask, so it is not
// everybody's to fill the log.
func (k *Keeper) refusal(p *process, q *uapi.ScdRequest, err error) {
	who := "" // of HELLO the error says it
	if p != nil {
		who = p.service.String()
	}
	k.noisy.With("service", who).Info("refused", "request", uapi.ScdKindName(q.Kind), "err", err)
}

func (k *Keeper) hello(c *net.UnixConn, q *uapi.ScdRequest, files []*os.File) (*process, error) {
	bell, err := dup(files[0])
	if err != nil {
		return nil, err
	}
	sessions, err := unixConn(files[1])
	if err != nil {
		_ = bell.Close()
		return nil, err
	}
	p, err := k.join(c, uapi.CString(q.Name[:]), bell, sessions, q.Slot == uapi.ScdTell)
	if err != nil {
		_ = bell.Close()
		_ = sessions.Close()
	}
	return p, err
}

// do returns the descriptor that goes with the answer, if any.
func (k *Keeper) do(p *process, q *uapi.ScdRequest, files []*os.File) (with *os.File, err error) {
	switch q.Kind {
	case uapi.ScdKeep:
		if q.Slot != 0 {
			return nil, k.keepSlot(p, q, files[0])
		}
		return nil, k.keepFor(p, q, files)
	case uapi.ScdListen:
		return nil, k.listen(p.service, files[0])
	case uapi.ScdListener:
		return k.listenerOf(p.service, uint16(q.Port))
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if q.Kind == uapi.ScdDone {
		return nil, k.done(p, q.Session, q.Generation)
	}
	return nil, k.handSlot(p, q.Session, q.Generation, q.Slot)
}

func (k *Keeper) keepFor(p *process, q *uapi.ScdRequest, files []*os.File) error {
	box, err := dup(files[0])
	if err != nil {
		return err
	}
	region := cbox.Region{File: box, Offset: int64(q.Offset), Length: int64(q.Length)}
	s, err := k.keepAs(q.Session, p, region, files[1])
	if s == nil { // or it was held already
		_ = box.Close()
	}
	return err
}

func (k *Keeper) keepAs(id cbox.ID, p *process, region cbox.Region, f *os.File) (*session, error) {
	conn, err := dupConn(f)
	if err != nil {
		return nil, err
	}
	s, err := k.keep(p.service, id, region, conn, p)
	if s == nil {
		_ = conn.Close()
	}
	return s, err
}

func dup(f *os.File) (*os.File, error) {
	fd, err := dupFD(f)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), f.Name()), nil
}

func dupFD(f *os.File) (int, error) {
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return -1, os.NewSyscallError("dup", err)
	}
	return fd, nil
}

func unixConn(f *os.File) (*net.UnixConn, error) {
	c, err := net.FileConn(f)
	if err != nil {
		return nil, err
	}
	if u, ok := c.(*net.UnixConn); ok {
		return u, nil
	}
	_ = c.Close()
	return nil, unix.EPROTOTYPE
}

func tcpConn(f *os.File) (*net.TCPConn, error) {
	c, err := net.FileConn(f)
	if err != nil {
		return nil, err
	}
	if t, ok := c.(*net.TCPConn); ok {
		return t, nil
	}
	_ = c.Close()
	return nil, unix.EPROTOTYPE
}
