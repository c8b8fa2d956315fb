// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"lazystate/dsm"
	"lazystate/internal/pause"
	"lazystate/verbs"
)

// What a connection over RDMA has.
const (
	slots    = 64      // of messages that are sent, and as many to receive
	slotSize = 8 << 10 // a page and what goes with it
)

// Kinds of work requests: the upper half of their ids.
const (
	ofSend uint64 = iota << 32
	ofReceive
	ofLook
)

const kindMask = 1<<64 - 1<<32

// wired is a conduit over a queue pair. Bytes go in SENDs, as many as fit into a slot
// each; who sends faster than is read here is told to try again by the device, for as
// long as it takes. What the peer has laid out is read one-sided: see reads.
type wired struct {
	net.Conn // nil: a listener returns one, and nobody calls what is not below
	queue    *verbs.Conn
	out, in  *verbs.MR
	far      net.Addr
	reads    *reads          // nil: the nodes have no shelves
	found    func(dsm.Found) // is told of them
	ctx      context.Context
	stop     context.CancelFunc

	reading sync.Mutex
	wc      [32]verbs.WC
	come    []piece // and is not read
	broken  error   // behind that

	part sync.Once
	use  sync.RWMutex // held by who is in a call
	over bool

	mu   sync.Mutex
	room *sync.Cond // on mu: a slot is free, or it ends
	free []int
	err  error // it ends, or has
}

// piece is what is left of a slot that came.
type piece struct {
	slot int
	b    []byte
}

func newWired(queue *verbs.Conn) (*wired, error) {
	c := &wired{queue: queue, far: net.TCPAddrFromAddrPort(queue.Remote())} // whose host counts
	c.room = sync.NewCond(&c.mu)
	c.ctx, c.stop = context.WithCancel(context.Background())
	var err error
	if c.out, err = queue.AllocMR(slots*slotSize, verbs.AccessLocalWrite); err == nil {
		c.in, err = queue.AllocMR(slots*slotSize, verbs.AccessLocalWrite)
	}
	for slot := range slots {
		c.free = append(c.free, slot)
		if err == nil {
			err = c.receive(slot)
		}
	}
	if err != nil {
		return nil, errors.Join(err, queue.Close())
	}
	return c, nil
}

func (c *wired) RemoteAddr() net.Addr { return c.far }

// receive has a slot be filled by the peer.
func (c *wired) receive(slot int) error {
	_, err := c.queue.PostRecv(verbs.RecvWR{ID: ofReceive | uint64(slot), SG: []verbs.SGE{c.in.SGE(slot*slotSize, slotSize)}})
	return err
}

// Read also takes what completes: while nobody reads, nobody who writes gets room.
// What was found meanwhile is told with no lock held.
func (c *wired) Read(b []byte) (int, error) {
	for {
		n, looks, err := c.read(b)
		for _, f := range looks {
			c.found(f)
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

func (c *wired) read(b []byte) (n int, looks []dsm.Found, err error) {
	c.use.RLock()
	defer c.use.RUnlock()
	if c.over {
		return 0, nil, net.ErrClosed
	}
	c.reading.Lock()
	defer c.reading.Unlock()
	if len(c.come) == 0 {
		looks = c.wait(c.ctx)
	}
	if len(c.come) == 0 {
		return 0, looks, c.broken
	}
	p := &c.come[0]
	n = copy(b, p.b)
	if p.b = p.b[n:]; len(p.b) == 0 {
		slot := p.slot
		c.come = c.come[1:]
		if err := c.receive(slot); err != nil {
			c.broken = c.end(err)
		}
	}
	return n, looks, nil
}

// wait takes what completes next. It is for who holds reading.
func (c *wired) wait(ctx context.Context) (looks []dsm.Found) {
	if c.broken != nil {
		return nil
	}
	n, err := c.queue.CQ.Wait(ctx, c.wc[:])
	if err == nil {
		looks, err = c.take(c.wc[:n])
	}
	if err != nil {
		c.broken = c.end(err)
	}
	return looks
}

// take looks at completions. What came before one that failed counts.
func (c *wired) take(done []verbs.WC) (looks []dsm.Found, err error) {
	for i := range done {
		wc := &done[i]
		slot := int(uint32(wc.ID))
		switch err := wc.Err(); {
		case err != nil && c.gone():
			return looks, io.EOF
		case err != nil:
			return looks, err
		}
		switch wc.ID & kindMask {
		case ofReceive:
			c.come = append(c.come, piece{slot, c.in.Bytes()[slot*slotSize:][:min(wc.ByteLen, slotSize)]})
		case ofLook:
			looks = append(looks, c.reads.done(slot))
		default:
			c.mu.Lock()
			c.free = append(c.free, slot)
			c.room.Broadcast()
			c.mu.Unlock()
		}
	}
	return looks, nil
}

// gone is true if the peer has ended the connection.
func (c *wired) gone() bool {
	select {
	case <-c.queue.Done():
		return true
	default:
		return false
	}
}

// end notes why, the first time, and returns that.
func (c *wired) end(why error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = why
		c.room.Broadcast()
	}
	return c.err
}

func (c *wired) Write(b []byte) (int, error) { return c.write(b, true) }

func (c *wired) TryWrite(b []byte) (int, error) { return c.write(b, false) }

// write is for one caller at a time.
func (c *wired) write(b []byte, waits bool) (n int, err error) {
	c.use.RLock()
	defer c.use.RUnlock()
	if c.over {
		return 0, net.ErrClosed
	}
	for n < len(b) {
		slot, err := c.slot(waits)
		if err != nil || slot < 0 {
			return n, err
		}
		k := copy(c.out.Bytes()[slot*slotSize:][:slotSize], b[n:])
		wr := verbs.SendWR{ID: ofSend | uint64(slot), Op: verbs.OpSend, Flags: verbs.SendSignaled, SG: []verbs.SGE{c.out.SGE(slot*slotSize, k)}}
		if _, err := c.queue.PostSend(wr); err != nil {
			return n, c.end(err)
		}
		n += k
	}
	return n, nil
}

// slot is a free one, or negative.
func (c *wired) slot(waits bool) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for waits && len(c.free) == 0 && c.err == nil {
		c.room.Wait()
	}
	if c.err != nil {
		return -1, c.err
	}
	if len(c.free) == 0 {
		return -1, nil
	}
	slot := c.free[len(c.free)-1]
	c.free = c.free[:len(c.free)-1]
	return slot, nil
}

// parting bounds the wait for a peer that should have what was written, and then hear
// that this is the end.
const parting = 300 * time.Millisecond

// Close tells the peer, and ends every call here. Looks that were not answered have
// found nothing.
func (c *wired) Close() error {
	c.part.Do(func() {
		c.drain()
		_ = c.end(net.ErrClosed)
		ctx, cancel := context.WithTimeout(context.Background(), parting)
		defer cancel()
		_ = c.queue.Disconnect(ctx) // the peer may be gone
	})
	c.stop()
	looks, err := c.finish()
	for _, f := range looks {
		c.found(f)
	}
	return err
}

// drain waits for what was written to come to the peer: what is on its way when a
// connection is ended is lost, and it may be why it is.
func (c *wired) drain() {
	ctx, cancel := context.WithTimeout(c.ctx, parting)
	defer cancel()
	for c.unsent() && ctx.Err() == nil {
		if !c.reading.TryLock() { // somebody takes what completes
			_ = pause.For(ctx, time.Millisecond)
			continue
		}
		looks := c.wait(ctx)
		c.reading.Unlock()
		for _, f := range looks {
			c.found(f)
		}
	}
}

// unsent is true while something is on its way.
func (c *wired) unsent() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err == nil && len(c.free) < slots
}

// finish lets go of it all when nobody is in a call any more.
func (c *wired) finish() (looks []dsm.Found, err error) {
	c.use.Lock()
	defer c.use.Unlock()
	if c.over {
		return nil, nil
	}
	c.over = true
	if c.reads != nil {
		looks, err = c.reads.close()
	}
	return looks, errors.Join(err, c.queue.Close())
}
