// SPDX-License-Identifier: Apache-2.0

package escrow

import (
	"errors"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Serve holds what daemons give it, one after another. It ends when a daemon has
// gone and nothing is held, or when for so long nobody has asked for what is.
func Serve(l *net.UnixListener, patience time.Duration) error {
	h := holder{items: map[Key]Item{}}
	defer h.close()
	for {
		if err := l.SetDeadline(time.Now().Add(patience)); err != nil {
			return err
		}
		c, err := l.AcceptUnix()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return nil
		}
		if err != nil {
			return err
		}
		if ours(c) {
			h.talk(c)
		}
		_ = c.Close()
		if len(h.items) == 0 {
			return nil
		}
	}
}

// ours: whoever else can reach the socket may not have what is here.
func ours(c *net.UnixConn) bool {
	raw, err := c.SyscallConn()
	if err != nil {
		return false
	}
	var cred *unix.Ucred
	if raw.Control(func(fd uintptr) { cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }) != nil || err != nil {
		return false
	}
	return int(cred.Uid) == os.Geteuid()
}

type holder struct{ items map[Key]Item }

// talk does what a daemon says until it is gone. What it had said before is heard
// all the same: the kernel keeps it, with its descriptors.
func (h *holder) talk(c *net.UnixConn) {
	for {
		kind, it, err := receive(c)
		if err != nil {
			return
		}
		switch kind {
		case put:
			h.forget(it.Key)
			h.items[it.Key] = it
		case drop:
			h.forget(it.Key)
		case list:
			if h.list(c) != nil {
				return
			}
		default:
			it.Close()
		}
	}
}

func (h *holder) forget(k Key) {
	if old, ok := h.items[k]; ok {
		old.Close()
		delete(h.items, k)
	}
}

func (h *holder) list(c *net.UnixConn) error {
	for _, it := range h.items {
		fds := make([]int, len(it.Files))
		for i, f := range it.Files {
			fds[i] = int(f.Fd())
		}
		if err := send(c, encode(item, it.Key, it.About), fds...); err != nil {
			return err
		}
	}
	return send(c, encode(end, Key{}, nil))
}

func (h *holder) close() {
	for k := range h.items {
		h.forget(k)
	}
}
