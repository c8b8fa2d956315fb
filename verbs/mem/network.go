// SPDX-License-Identifier: Apache-2.0

package mem

import (
	"container/heap"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"

	"lazystate/verbs/driver"
)

// Faults are what the network does to messages. Shares are from 0 to 1.
type Faults struct {
	Seed    uint64
	Loss    float64
	Dup     float64       // delivered twice
	Reorder float64       // held back while others overtake
	Delay   time.Duration // of every message
}

// Network connects devices of one process.
type Network struct {
	mu        sync.Mutex
	faults    Faults
	dice      *rand.Rand
	devices   map[driver.GID]*Device
	last      uint32
	listeners map[netip.AddrPort]*listener

	late     lateQueue
	lateWake chan struct{}
	lateRuns bool
	serial   uint64
}

// NewNetwork returns a network without devices.
func NewNetwork(f Faults) *Network {
	return &Network{
		faults: f, dice: rand.New(rand.NewPCG(f.Seed, 1)), devices: map[driver.GID]*Device{},
		listeners: map[netip.AddrPort]*listener{}, lateWake: make(chan struct{}, 1),
	}
}

// Set changes what happens to messages from now on; the dice go on.
func (n *Network) Set(f Faults) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f.Seed = n.faults.Seed
	n.faults = f
}

// address returns the next free address: 10.0.0.1, 10.0.0.2, ...
func (n *Network) address() netip.Addr {
	n.last++
	return netip.AddrFrom4([4]byte{10, byte(n.last >> 16), byte(n.last >> 8), byte(n.last)})
}

// send throws the dice for m.
func (n *Network) send(m *message) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f := &n.faults
	if f.Loss > 0 && n.dice.Float64() < f.Loss {
		return
	}
	copies := 1
	if f.Dup > 0 && n.dice.Float64() < f.Dup {
		copies = 2
	}
	for range copies {
		delay := f.Delay
		if f.Reorder > 0 && n.dice.Float64() < f.Reorder {
			delay += time.Duration(n.dice.Int64N(int64(200*time.Microsecond))) + 1
		}
		if delay > 0 {
			n.postpone(m, delay)
		} else {
			n.deliver(m)
		}
	}
}

// deliver puts m into its device's inbox; nobody there is nobody there.
func (n *Network) deliver(m *message) {
	if d := n.devices[m.to]; d != nil {
		d.inbox.put(m)
	}
}

// lateMessage is one that waits for its time.
type lateMessage struct {
	due    time.Time
	serial uint64 // messages of one time keep their order
	m      *message
}

type lateQueue []lateMessage

func (q lateQueue) Len() int { return len(q) }
func (q lateQueue) Less(i, j int) bool {
	if q[i].due.Equal(q[j].due) {
		return q[i].serial < q[j].serial
	}
	return q[i].due.Before(q[j].due)
}
func (q lateQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *lateQueue) Push(x any)   { *q = append(*q, x.(lateMessage)) }
func (q *lateQueue) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}

func (n *Network) postpone(m *message, delay time.Duration) {
	n.serial++
	heap.Push(&n.late, lateMessage{time.Now().Add(delay), n.serial, m})
	if !n.lateRuns {
		n.lateRuns = true
		go n.deliverLate()
	}
	select {
	case n.lateWake <- struct{}{}:
	default:
	}
}

// deliverLate runs while messages are on their way.
func (n *Network) deliverLate() {
	for {
		n.mu.Lock()
		now := time.Now()
		for len(n.late) > 0 && !n.late[0].due.After(now) {
			n.deliver(heap.Pop(&n.late).(lateMessage).m)
		}
		if len(n.late) == 0 {
			n.lateRuns = false
			n.mu.Unlock()
			return
		}
		wait := time.Until(n.late[0].due)
		n.mu.Unlock()
		select {
		case <-time.After(wait):
		case <-n.lateWake:
		}
	}
}

// inbox is a queue without a limit: a device never waits for another.
type inbox struct {
	mu       sync.Mutex
	messages []*message
	wake     chan struct{}
}

func (b *inbox) put(m *message) {
	b.mu.Lock()
	b.messages = append(b.messages, m)
	b.mu.Unlock()
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

func (b *inbox) take() []*message {
	b.mu.Lock()
	defer b.mu.Unlock()
	ms := b.messages
	b.messages = nil
	return ms
}
