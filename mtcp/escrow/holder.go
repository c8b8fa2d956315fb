// SPDX-License-Identifier: Apache-2.0

package escrow

import (
	"context"
	"errors"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"lazystate/internal/unixsock"
)

// Serve holds what daemons give it, one after another. It ends when a daemon has
// gone and nothing is held, when for so long nobody has asked for what is, or with ctx.
// The first daemon, which has started it, has at least as long as an answer may take.
func Serve(ctx context.Context, l *net.UnixListener, patience time.Duration) error {
	h := holder{items: map[Key]held{}}
	defer h.close()
	defer context.AfterFunc(ctx, func() { _ = l.Close() })()
	for until := time.Now().Add(max(patience, answerBound)); ; {
		c, err := next(l, until)
		if err != nil {
			return err
		}
		if c == nil {
			return nil
		}
		stop := context.AfterFunc(ctx, func() { _ = c.Close() })
		if ours(c) && h.talk(c) {
			until = time.Now().Add(patience) // another release's comes again and again
		}
		stop()
		_ = c.Close()
		if len(h.items) == 0 {
			return nil
		}
	}
}

// acceptPause is what a holder waits where no descriptor is left.
const acceptPause = 100 * time.Millisecond

// next waits for a daemon; nil: none comes.
func next(l *net.UnixListener, until time.Time) (*net.UnixConn, error) {
	err := l.SetDeadline(until)
	for err == nil {
		var c *net.UnixConn
		c, err = l.AcceptUnix()
		switch {
		case err == nil:
			return c, nil
		case errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE), errors.Is(err, unix.ENOMEM), errors.Is(err, unix.ECONNABORTED):
			time.Sleep(acceptPause)
			err = nil
		}
	}
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, net.ErrClosed) {
		err = nil
	}
	return nil, err
}

// ours: whoever else can reach the socket may not have what is here.
func ours(c *net.UnixConn) bool {
	cred, err := unixsock.Peer(c)
	return err == nil && int(cred.Uid) == os.Geteuid()
}

type holder struct{ items map[Key]held }

// held is an item, whose descriptors others may share.
type held struct {
	about []byte
	files []*shared
}

// shared is a descriptor of so many items.
type shared struct {
	*os.File
	items int
}

// talk does what a daemon says until it is gone. What it had said before is heard
// all the same: the kernel keeps it, with its descriptors. It reports whether there was
// anything that it understood.
func (h *holder) talk(c *net.UnixConn) (understood bool) {
	for in := newBuffers(); ; understood = true {
		kind, all, files, err := in.receive(c)
		if other := (*VersionError)(nil); errors.As(err, &other) {
			_ = send(c, encode(end)) // which says what this one speaks
		}
		if err != nil {
			return understood
		}
		switch kind {
		case put:
			h.put(all, files)
			continue
		case drop:
			for _, e := range all {
				h.forget(e.key)
			}
		case list:
			err = h.list(c)
		}
		(&Item{Files: files}).Close()
		if err != nil {
			return understood
		}
	}
}

func (h *holder) put(all []entry, files []*os.File) {
	fds := make([]*shared, len(files))
	for i, f := range files {
		fds[i] = &shared{File: f}
	}
	for _, e := range all {
		h.forget(e.key)
		it := held{about: append([]byte{}, e.about...)}
		for _, at := range e.files {
			fds[at].items++
			it.files = append(it.files, fds[at])
		}
		h.items[e.key] = it
	}
	for _, f := range fds {
		if f.items == 0 {
			_ = f.Close()
		}
	}
}

func (h *holder) forget(k Key) {
	for _, f := range h.items[k].files {
		if f.items--; f.items == 0 {
			_ = f.Close()
		}
	}
	delete(h.items, k)
}

func (h *holder) list(c *net.UnixConn) error {
	for k, it := range h.items {
		e := entry{key: k, about: it.about}
		var fds []int
		for i, f := range it.files {
			fds, e.files = append(fds, int(f.Fd())), append(e.files, byte(i))
		}
		if err := send(c, encode(item, e), fds...); err != nil {
			return err
		}
	}
	return send(c, encode(end))
}

func (h *holder) close() {
	for k := range h.items {
		h.forget(k)
	}
}
