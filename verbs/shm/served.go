// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"fmt"

	"lazystate/internal/unixsock"
	"lazystate/verbs/driver"
	"lazystate/verbs/internal/soft"
)

// served is a peer that opened us: it is told of registrations and gets the
// segments of the queue pairs that it talks to.
type served struct {
	outbox
	dev *Device
	gid driver.GID // as it says; set once, by hello
}

// accept serves peers until the device closes.
func (d *Device) accept() {
	defer d.done.Done()
	for {
		c, err := next(d.listener.AcceptUnix)
		if err != nil {
			return
		}
		s := &served{dev: d, outbox: newOutbox(c)}
		if s.sock.checkPeer() != nil || !d.admit(s) {
			c.Close()
			continue
		}
		go s.read()
		go func() {
			defer d.done.Done()
			s.outbox.run()
		}()
	}
}

func (d *Device) admit(s *served) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return false
	}
	d.peers[s] = false
	d.done.Add(2)
	return true
}

func (s *served) read() {
	defer s.dev.done.Done()
	defer s.close()
	for greeted := false; ; {
		m, files, err := s.sock.read()
		unixsock.Close(files)
		switch {
		case err != nil:
			return
		case m.Kind == kHello && !greeted:
			greeted = true
			s.gid = m.GID
			s.dev.greet(s)
		case m.Kind == kOpen && greeted:
			s.dev.opening(s, m)
		default:
			return // it speaks another language
		}
	}
}

// greet gives a peer the device's files and every registration that lives.
func (d *Device) greet(s *served) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return
	}
	s.send(&message{Kind: kWelcome, GID: d.gid}, d.table.ro, d.hintsFD, d.bell)
	d.table.mu.Lock()
	for _, r := range d.table.slots {
		s.send(r.message(), r.fd)
	}
	d.table.mu.Unlock()
	d.peers[s] = true
}

// dismiss hangs up on a peer that we cannot reach: it would wait for answers
// that we cannot tell it of. d is locked.
func (d *Device) dismiss(gid driver.GID) {
	for s, greeted := range d.peers {
		if greeted && s.gid == gid {
			s.sock.Close()
		}
	}
}

// tell tells every peer that was greeted. d is locked.
func (d *Device) tell(m *message, files ...int) {
	for s, greeted := range d.peers {
		if greeted {
			s.send(m, files...)
		}
	}
}

func (s *served) close() {
	s.dev.mu.Lock()
	delete(s.dev.peers, s)
	s.dev.mu.Unlock()
	s.outbox.close()
}

var errNoFile = fmt.Errorf("memory without a file cannot be shared (use Alloc, or a memfd): %w", driver.ErrNotSupported)

// registered publishes a registration that peers may use.
func (d *Device) registered(r *soft.Region) error {
	if r.Access&remote == 0 {
		return nil
	}
	if r.Mem.FD < 0 {
		return errNoFile
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	s, err := d.table.add(r)
	if err != nil {
		return err
	}
	d.tell(s.message(), s.fd)
	return nil
}

// ended withdraws a registration and waits until no peer is at it.
func (d *Device) ended(r *soft.Region) {
	d.mu.Lock()
	s := d.table.end(r)
	if s != nil {
		d.tell(&message{Kind: kRegionEnd, Slot: s.slot, Seq: s.seq, Key: r.Key})
	}
	engines := d.allEngines()
	d.mu.Unlock()
	if s == nil {
		return
	}
	for _, e := range engines {
		e.awaitPeer()
	}
}
