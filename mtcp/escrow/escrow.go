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

	mu       sync.Mutex
	broken   error // the holder is not what it was: nobody waits for it again
	drops    []Key // that are still to be said
	dropping bool  // somebody is about to
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
	if err := errors.Join(c.SetDeadline(time.Now().Add(answerBound)), send(c, encode(list))); err != nil {
		return nil, err
	}
	for in := newBuffers(); ; {
		kind, all, files, err := in.receive(c)
		if err == nil && kind == end {
			return left, c.SetDeadline(time.Time{})
		}
		if err == nil && (kind != item || len(all) != 1) {
			err = fmt.Errorf("answer of kind %d with %d items", kind, len(all))
			(&Item{Files: files}).Close()
		}
		if err != nil {
			for _, it := range left {
				it.Close()
			}
			return nil, err
		}
		left = append(left, Item{all[0].key, append([]byte{}, all[0].about...), files})
	}
}

// Deposit is an item that is put into escrow. Its descriptors stay the caller's too.
type Deposit struct {
	Key   Key
	About []byte
	FDs   []int // several deposits may have the same
}

// Put has deposits held. Once it returns, they outlive this process; after an error
// of the holder's nothing is held any more.
func (e *Escrow) Put(all ...Deposit) error {
	if e == nil {
		return nil
	}
	for _, d := range all {
		if len(d.About) > mostAbout || len(d.FDs) == 0 || len(d.FDs) > mostFiles {
			return fmt.Errorf("escrow: %d bytes about %d descriptors", len(d.About), len(d.FDs))
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.dropSome(len(e.drops)) // what was said before comes before
	for len(all) > 0 && e.broken == nil {
		b, fds, n := pack(all)
		e.say(b, fds...)
		all = all[n:]
	}
	return e.broken
}

// pack makes one message of the first n deposits.
func pack(all []Deposit) (b []byte, fds []int, n int) {
	places := map[int]byte{}
	b = encode(put)
	for _, d := range all {
		en := entry{key: d.Key, about: d.About, files: make([]byte, len(d.FDs))}
		if n > 0 && (len(b)+en.len() > mostMessage || len(fds)+len(d.FDs) > mostFDs) {
			break
		}
		for i, fd := range d.FDs {
			at, there := places[fd]
			if !there {
				at = byte(len(fds))
				fds, places[fd] = append(fds, fd), at
			}
			en.files[i] = at
		}
		b = en.append(b)
		n++
	}
	return b, fds, n
}

// Drop has something no longer held, soon: the caller does not wait.
func (e *Escrow) Drop(k Key) error {
	if e == nil {
		return nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.broken != nil {
		return e.broken
	}
	e.drops = append(e.drops, k)
	if !e.dropping {
		e.dropping = true
		go e.dropAll()
	}
	return nil
}

// mostDrops is how many go into a message.
const mostDrops = 256

// dropAll says what has gathered until nothing more does.
func (e *Escrow) dropAll() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for len(e.drops) > 0 {
		e.dropSome(mostDrops)
		e.mu.Unlock()
		e.mu.Lock() // others have their turn
	}
	e.dropping = false
}

// dropSome says that n at most are no longer to be held; mu is held.
func (e *Escrow) dropSome(n int) {
	for n > 0 && len(e.drops) > 0 {
		some := min(n, mostDrops, len(e.drops))
		entries := make([]entry, some)
		for i, k := range e.drops[:some] {
			entries[i].key = k
		}
		e.drops, n = e.drops[some:], n-some
		e.say(encode(drop, entries...))
	}
}

// say sends a message, or is broken; mu is held.
func (e *Escrow) say(b []byte, fds ...int) {
	if e.broken != nil {
		return
	}
	err := e.c.SetWriteDeadline(time.Now().Add(roomBound))
	if err == nil {
		err = send(e.c, b, fds...)
	}
	if err != nil {
		e.broken = fmt.Errorf("escrow: %w", err)
	}
}

// Close hangs up. What is held stays so.
func (e *Escrow) Close() error {
	if e == nil {
		return nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.dropSome(len(e.drops))
	return e.c.Close()
}
