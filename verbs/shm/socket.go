// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"lazystate/internal/unixsock"
)

// socket is one end of a unix connection that keeps messages apart and carries
// files.
type socket struct{ *net.UnixConn }

func listenUnix(name string) (*net.UnixListener, error) {
	return net.ListenUnix("unixpacket", &net.UnixAddr{Net: "unixpacket", Name: name})
}

// dialUnix connects to a listener of this network namespace whose process has
// our user, or root's.
func dialUnix(ctx context.Context, name string) (socket, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "unixpacket", name)
	if err != nil {
		return socket{}, err
	}
	s := socket{c.(*net.UnixConn)}
	if err := s.checkPeer(); err != nil {
		s.Close()
		return socket{}, err
	}
	return s, nil
}

// CredError is a peer of another user.
type CredError struct{ UID, PID int }

func (e *CredError) Error() string {
	return fmt.Sprintf("process %d of user %d has that address: neither ours nor root's", e.PID, e.UID)
}

// checkPeer: abstract names are free for all users of the host.
func (s socket) checkPeer() error {
	cred, err := unixsock.Peer(s)
	if err != nil {
		return err
	}
	if uid := int(cred.Uid); uid != os.Geteuid() && uid != 0 {
		return &CredError{UID: uid, PID: int(cred.Pid)}
	}
	return nil
}

// acceptPause is what a listener waits where no descriptor is left (EMFILE), or
// whose peer has gone before it was accepted.
const acceptPause = 100 * time.Millisecond

// next accepts until the listener is closed.
func next(accept func() (*net.UnixConn, error)) (socket, error) {
	for {
		c, err := accept()
		if err == nil || errors.Is(err, net.ErrClosed) {
			return socket{c}, err
		}
		time.Sleep(acceptPause)
	}
}

// write sends m with files, which stay the caller's. It waits for a peer that
// does not read.
func (s socket) write(m *message, files ...int) error {
	var oob []byte
	if len(files) > 0 {
		oob = unix.UnixRights(files...)
	}
	_, _, err := s.WriteMsgUnix(m.encode(), oob, nil)
	return err
}

const maxFiles = 3 // of one message

var errFiles = errors.New("message with other files than its kind has")

// read returns the next message and its files, which become the caller's.
func (s socket) read() (*message, []int, error) {
	b := make([]byte, messageSize+1)
	oob := make([]byte, unix.CmsgSpace(4*maxFiles))
	n, oobn, flags, _, err := s.ReadMsgUnix(b, oob)
	if err != nil {
		return nil, nil, err
	}
	files, err := unixsock.Rights(oob[:oobn])
	if err == nil && flags&(unix.MSG_CTRUNC|unix.MSG_TRUNC) != 0 {
		err = errFiles
	}
	var m *message
	if err == nil {
		m, err = decode(b[:n])
	}
	if err != nil {
		unixsock.Close(files)
		return nil, nil, err
	}
	return m, files, nil
}

// mapping is a part of a file that a peer sent.
type mapping struct {
	b      []byte // the part
	whole  []byte // from the page on that it begins in
	sealed bool   // cannot be cut: else every access needs a guard
}

// mapFile maps size bytes of fd, which must be that long.
func mapFile(fd int, off, size uint64, writable bool) (mapping, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return mapping{}, err
	}
	if length := uint64(st.Size); size == 0 || off > length || size > length-off {
		return mapping{}, fmt.Errorf("%d bytes at %d of a file of %d", size, off, st.Size)
	}
	seals, err := unix.FcntlInt(uintptr(fd), unix.F_GET_SEALS, 0)
	sealed := err == nil && seals&unix.F_SEAL_SHRINK != 0
	prot := unix.PROT_READ
	if writable {
		prot |= unix.PROT_WRITE
	}
	skip := off % uint64(unix.Getpagesize())
	b, err := unix.Mmap(fd, int64(off-skip), int(size+skip), prot, unix.MAP_SHARED)
	if err != nil {
		return mapping{}, fmt.Errorf("map a peer's file: %w", err)
	}
	return mapping{b: b[skip:], whole: b, sealed: sealed}, nil
}

func (m *mapping) unmap() {
	if m.whole != nil {
		unix.Munmap(m.whole)
	}
	*m = mapping{}
}

// readOnly returns another descriptor of fd's file that cannot write.
func readOnly(fd int) (int, error) {
	ro, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", fd), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open a file again for reading: %w", err)
	}
	return ro, nil
}
