// SPDX-License-Identifier: Apache-2.0

package escrow

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Escrow is a daemon's side. A nil one holds nothing: who cannot have one goes on
// without.
type Escrow struct {
	c *net.UnixConn

	mu     sync.Mutex
	broken error // the holder is not what it was: nobody waits for it again
}

// How long a holder may take: to answer one that begins, and to make room for one
// that has others waiting.
const (
	answerBound = 10 * time.Second
	roomBound   = time.Second
)

// Open finds the holder at a path, or has start start one, for a listening socket
// that is to be its own; and returns what an earlier daemon has left there.
func Open(path string, start func(listener *os.File) error) (*Escrow, []Item, error) {
	var errs error
	for range 3 { // one that holds nothing ends, perhaps right now
		c, err := dial(path, start)
		if err != nil {
			return nil, nil, fmt.Errorf("escrow: %w", err)
		}
		left, err := ask(c)
		if err == nil {
			return &Escrow{c: c}, left, nil
		}
		_ = c.Close()
		errs = errors.Join(errs, err)
	}
	return nil, nil, fmt.Errorf("escrow: %w", errs)
}

func dial(path string, start func(*os.File) error) (*net.UnixConn, error) {
	at := &net.UnixAddr{Name: path, Net: "unixpacket"}
	c, err := net.DialUnix("unixpacket", nil, at)
	if err == nil {
		return c, nil
	}
	if errors.Is(err, unix.ECONNREFUSED) { // one that has ended
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	l, err := net.ListenUnix("unixpacket", at)
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false)
	defer l.Close()
	f, err := l.File()
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := errors.Join(os.Chmod(path, 0o600), start(f)); err != nil {
		return nil, err
	}
	return net.DialUnix("unixpacket", nil, at)
}

func ask(c *net.UnixConn) (left []Item, err error) {
	if err := errors.Join(c.SetDeadline(time.Now().Add(answerBound)), send(c, encode(list, Key{}, nil))); err != nil {
		return nil, err
	}
	for {
		kind, it, err := receive(c)
		if err == nil && kind == end {
			return left, c.SetDeadline(time.Time{})
		}
		if err == nil && kind != item {
			err = fmt.Errorf("answer of kind %d", kind)
		}
		if err != nil {
			for _, it := range left {
				it.Close()
			}
			return nil, err
		}
		left = append(left, it)
	}
}

// Put has descriptors held, which stay the caller's too. Once it returns, they
// outlive this process. After an error of the holder's nothing is held any more.
func (e *Escrow) Put(k Key, about []byte, fds ...int) error {
	if e == nil {
		return nil
	}
	if len(about) > mostAbout || len(fds) == 0 || len(fds) > mostFiles {
		return fmt.Errorf("escrow: %d bytes about %d descriptors", len(about), len(fds))
	}
	return e.say(encode(put, k, about), fds...)
}

// Drop has them no longer held.
func (e *Escrow) Drop(k Key) error {
	if e == nil {
		return nil
	}
	return e.say(encode(drop, k, nil))
}

func (e *Escrow) say(b []byte, fds ...int) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.broken != nil {
		return e.broken
	}
	err := e.c.SetWriteDeadline(time.Now().Add(roomBound))
	if err == nil {
		err = send(e.c, b, fds...)
	}
	if err != nil {
		e.broken = fmt.Errorf("escrow: %w", err)
	}
	return e.broken
}

// Close hangs up. What is held stays so.
func (e *Escrow) Close() error {
	if e == nil {
		return nil
	}
	return e.c.Close()
}
