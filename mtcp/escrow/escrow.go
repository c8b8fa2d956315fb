// SPDX-License-Identifier: Apache-2.0

package escrow

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Escrow is a daemon's side. A nil one holds nothing: who has none goes on without.
type Escrow struct {
	path  string
	start func(listener *os.File) error

	mu       sync.Mutex
	c        *net.UnixConn
	keys     map[Key]struct{} // that are to be held
	drops    []Key            // that are still to be said
	dropping bool             // somebody is about to
	broken   error            // the holder is not what it was: it is looked for
	again    func(lost error) // of Renewed
	room     time.Duration    // roomBound
	closed   context.Context
	close    context.CancelFunc
}

// How long a holder may take: to answer one that begins, and to make room for one
// that has others waiting; and how often one that has failed is looked for.
const (
	answerBound = 10 * time.Second
	roomBound   = time.Second
	renewEvery  = time.Second
)

// Open finds the holder at a path, or has start start one, for a listening socket
// that is to be its own; and returns what an earlier daemon has left there. After an
// error it is an escrow all the same, that holds nothing until there is a holder; what
// an earlier daemon has left is the next one's then.
func Open(path string, start func(listener *os.File) error) (*Escrow, []Item, error) {
	e := &Escrow{path: path, start: start, keys: map[Key]struct{}{}, room: roomBound}
	e.closed, e.close = context.WithCancel(context.Background())
	c, left, err := find(path, start)
	if err != nil {
		err = fmt.Errorf("escrow: %w", err)
		e.fail(err)
		return e, nil, err
	}
	e.c = c
	go e.watch(c)
	for _, it := range left {
		e.keys[it.Key] = struct{}{}
	}
	return e, left, nil
}

func find(path string, start func(*os.File) error) (c *net.UnixConn, left []Item, err error) {
	for range 3 { // one that holds nothing ends, perhaps right now
		if c, err = dial(path, start); err != nil {
			return nil, nil, err
		}
		if left, err = ask(c); err == nil {
			return c, left, nil
		}
		_ = c.Close()
		if !errors.Is(err, io.EOF) && !errors.Is(err, unix.ECONNRESET) && !errors.Is(err, unix.EPIPE) {
			break
		}
	}
	return nil, nil, err
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
		return nil, errors.Join(err, os.Remove(path))
	}
	return net.DialUnix("unixpacket", nil, at)
}

func ask(c *net.UnixConn) (left []Item, err error) {
	err = errors.Join(c.SetDeadline(time.Now().Add(answerBound)), send(c, encode(list)))
	for in := newBuffers(); err == nil; {
		var kind uint16
		var all []entry
		var files []*os.File
		kind, all, files, err = in.receive(c)
		switch {
		case err != nil:
		case kind == end:
			return left, c.SetDeadline(time.Time{})
		case kind == item && len(all) == 1:
			left = append(left, Item{all[0].key, append([]byte{}, all[0].about...), files})
			err = c.SetDeadline(time.Now().Add(answerBound)) // for each: there may be thousands
		default:
			err = fmt.Errorf("answer of kind %d with %d items", kind, len(all))
			(&Item{Files: files}).Close()
		}
	}
	for _, it := range left {
		it.Close()
	}
	return nil, err
}

// Deposit is an item that is put into escrow. Its descriptors stay the caller's too.
type Deposit struct {
	Key   Key
	About []byte
	FDs   []int // several deposits may have the same
}

// Put has deposits held. Once it returns, they outlive this process, though the holder
// may not have looked yet: they are in its socket's queue, with their descriptors, which
// it reads to the end before it hears the next daemon. After an error none of them
// does; a holder that dies, or has no descriptors left, over what is in its queue hangs
// up (Renewed).
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
	for rest := all; len(rest) > 0 && e.broken == nil; {
		b, fds, n := pack(rest)
		e.say(b, fds...)
		rest = rest[n:]
	}
	for _, d := range all {
		if e.broken == nil {
			e.keys[d.Key] = struct{}{}
		} else {
			delete(e.keys, d.Key)
		}
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
func (e *Escrow) Drop(k Key) {
	if e == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.keys, k)
	if e.broken != nil {
		return // renew sees to it
	}
	e.drops = append(e.drops, k)
	if !e.dropping {
		e.dropping = true
		go e.dropAll()
	}
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
		b := encode(drop, keysOnly(e.drops[:some])...)
		e.drops, n = e.drops[some:], n-some
		e.say(b)
	}
}

func keysOnly(keys []Key) []entry {
	all := make([]entry, len(keys))
	for i, k := range keys {
		all[i].key = k
	}
	return all
}

// say sends a message; one that cannot be sent is the end of this holder, for nobody
// knows what it has then. mu is held.
func (e *Escrow) say(b []byte, fds ...int) {
	if e.broken != nil {
		return
	}
	err := e.c.SetWriteDeadline(time.Now().Add(e.room))
	if err == nil {
		err = send(e.c, b, fds...)
	}
	if err != nil {
		_ = e.c.Close()
		e.fail(fmt.Errorf("escrow: %w", err))
	}
}

// watch waits for the end of a holder, which says nothing unasked.
func (e *Escrow) watch(c *net.UnixConn) {
	_, err := c.Read(make([]byte, 1))
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.c == c && e.broken == nil && e.closed.Err() == nil {
		_ = c.Close()
		e.fail(fmt.Errorf("escrow: the holder has hung up: %w", cmp.Or(err, io.EOF)))
	}
}

// fail has the holder looked for; nobody else is at it, or mu is held.
func (e *Escrow) fail(err error) {
	e.broken, e.drops = err, nil
	go e.renew()
}

// renew finds the holder again, or has another one started. One that was stopped
// has what was dropped meanwhile: a connection does not end while it has that.
func (e *Escrow) renew() {
	for {
		select {
		case <-time.After(renewEvery):
		case <-e.closed.Done():
			return
		}
		if c, left, err := find(e.path, e.start); err == nil {
			if again, lost := e.renewed(c, left); again != nil {
				again(lost)
			}
			return
		}
	}
}

// Renewed has f called whenever there is a holder again, with how the last one was lost:
// it may be another one, and have nothing of what was put.
func (e *Escrow) Renewed(f func(lost error)) {
	if e == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.again = f
}

func (e *Escrow) renewed(c *net.UnixConn, left []Item) (again func(error), lost error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, it := range left {
		it.Close()      // who put it has it
		if e.c == nil { // or was a former daemon, and the holder did not answer this one: it is for the next
			e.keys[it.Key] = struct{}{}
		}
	}
	if e.closed.Err() != nil {
		_ = c.Close()
		return nil, nil
	}
	e.c, e.broken, lost = c, nil, e.broken
	go e.watch(c)
	for _, it := range left {
		if _, wanted := e.keys[it.Key]; !wanted {
			e.drops = append(e.drops, it.Key)
		}
	}
	e.dropSome(len(e.drops))
	return e.again, lost
}

// Close hangs up. What is held stays so.
func (e *Escrow) Close() error {
	if e == nil {
		return nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.dropSome(len(e.drops))
	e.close()
	if e.broken != nil {
		return nil // that is hung up
	}
	return e.c.Close()
}
