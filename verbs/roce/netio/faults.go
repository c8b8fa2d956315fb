// SPDX-License-Identifier: Apache-2.0

package netio

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"golang.org/x/sys/unix"
)

// Faults are what a bad network does, as probabilities for each packet. They
// are drawn from the seed, never by counting: a go-back-N protocol live-locks
// when every n-th packet is lost.
type Faults struct {
	Seed      uint64
	Loss      float64
	Duplicate float64
	Reorder   float64       // the packet comes Delay, or a millisecond, later than its successors
	Delay     time.Duration // of every packet
	Corrupt   float64       // one bit is turned
}

// faulty is a port with faults in front of it, on the way out and on the way in.
type faulty struct {
	Port
	f     Faults
	rnd   *rand.Rand
	epoll int // readable when port is, or when a delayed packet is due
	timer int
	armed time.Time
	held  []heldPacket // in order of due
	inner []Datagram
	lost  uint64
}

type heldPacket struct {
	due time.Time
	d   Datagram
}

// Bad puts faults in front of a port. Packets then travel one by one, for a
// train that loses a packet would change the IDs of the others.
func Bad(p Port, f Faults) (Port, error) {
	b := &faulty{Port: p, f: f, rnd: rand.New(rand.NewPCG(f.Seed, f.Seed)), epoll: -1, timer: -1, inner: make([]Datagram, 32)}
	var err error
	if b.timer, err = unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK); err == nil {
		b.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	}
	for _, fd := range []int{p.FD(), b.timer} {
		if err == nil {
			err = unix.EpollCtl(b.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)})
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("watch a delayed port: %w", err), b.closeOwn())
	}
	return b, nil
}

func (b *faulty) FD() int { return b.epoll }

func (b *faulty) Caps() Caps {
	c := b.Port.Caps()
	c.TrainLen, c.TrainBytes = 1, 0
	return c
}

func (b *faulty) strikes(p float64) bool { return p > 0 && b.rnd.Float64() < p }

func (b *faulty) Send(ds []Datagram) (int, error) {
	for i := range ds {
		if b.strikes(b.f.Loss) {
			b.lost++
			continue
		}
		if _, err := b.Port.Send(ds[i : i+1]); err != nil {
			return i, err
		}
	}
	return len(ds), nil
}

func (b *faulty) Recv(ds []Datagram) (int, error) {
	// A packet may come twice: half of the room is for the second ones.
	n, err := b.Port.Recv(b.inner[:max(1, min(len(b.inner), len(ds)/2))])
	if err != nil {
		return 0, err
	}
	now, out := time.Now(), 0
	for _, d := range b.inner[:n] {
		for pkt := range d.Packets() {
			b.arrive(now, Datagram{Peer: d.Peer, Data: bytes.Clone(pkt), ID: d.ID, Flags: d.Flags})
			d.ID++ // inside a train that the kernel merged
		}
	}
	for out < len(ds) && len(b.held) > 0 && !b.held[0].due.After(now) {
		ds[out] = b.held[0].d
		b.held = b.held[1:]
		out++
	}
	b.arm(now)
	return out, nil
}

// arrive decides a packet's fate.
func (b *faulty) arrive(now time.Time, d Datagram) {
	if b.strikes(b.f.Loss) {
		b.lost++
		return
	}
	if b.strikes(b.f.Corrupt) {
		d.Data[b.rnd.IntN(len(d.Data))] ^= 1 << b.rnd.IntN(8)
	}
	due := now.Add(b.f.Delay)
	if b.strikes(b.f.Reorder) {
		due = due.Add(max(b.f.Delay, time.Millisecond))
	}
	b.hold(due, d)
	if b.strikes(b.f.Duplicate) {
		b.hold(due, d)
	}
}

// hold keeps a packet behind those that are due no later.
func (b *faulty) hold(due time.Time, d Datagram) {
	i := len(b.held)
	for i > 0 && b.held[i-1].due.After(due) {
		i--
	}
	b.held = append(b.held, heldPacket{})
	copy(b.held[i+1:], b.held[i:])
	b.held[i] = heldPacket{due, d}
}

// arm makes the timer readable when the next held packet is due.
func (b *faulty) arm(now time.Time) {
	next := time.Time{}
	if len(b.held) > 0 {
		next = b.held[0].due
	}
	if next.Equal(b.armed) {
		return
	}
	b.armed = next
	var spec unix.ItimerSpec
	if !next.IsZero() {
		spec.Value = unix.NsecToTimespec(max(1, next.Sub(now).Nanoseconds()))
	}
	_ = unix.TimerfdSettime(b.timer, 0, &spec, nil)
}

func (b *faulty) Close() error { return errors.Join(b.closeOwn(), b.Port.Close()) }

func (b *faulty) closeOwn() error {
	var errs []error
	for _, fd := range []*int{&b.timer, &b.epoll} {
		if *fd >= 0 {
			errs = append(errs, unix.Close(*fd))
			*fd = -1
		}
	}
	return errors.Join(errs...)
}
