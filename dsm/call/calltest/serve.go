// SPDX-License-Identifier: Apache-2.0

package calltest

import (
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"lazystate/backdoor/uapi"
	"lazystate/dsm/call"
)

// serve does what a call asks for, once it can be.
func (c *Cluster) serve(n *node, q call.Call) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch q.Kind {
	case uapi.DsmAcquire:
		return c.acquire(n, q.Args[0])
	case uapi.DsmRelease:
		return c.release(n, q.Args[0])
	case uapi.DsmBarrier:
		return c.meet(q.Args[0])
	case uapi.DsmEnd:
		return c.meet(uapi.DsmLast)
	case uapi.DsmWait:
		return c.sleep(n, q.Args[0], q.Args[1])
	case uapi.DsmSignal, uapi.DsmBroadcast:
		return c.wake(q.Args[0], q.Kind == uapi.DsmBroadcast)
	case uapi.DsmPlace, uapi.DsmPrefetch:
		if first, pages := q.Args[0], q.Args[1]; first >= uint64(c.Pages) || pages == 0 || pages > uint64(c.Pages)-first {
			return fmt.Errorf("%d pages from %d of %d", pages, first, c.Pages)
		}
	case uapi.DsmCheckpoint:
		return c.save(n, q.Args[0])
	default:
		return fmt.Errorf("call %d", q.Kind)
	}
	return nil
}

// save keeps a checkpoint. With one node the memory is what it was at the call.
func (c *Cluster) save(n *node, bytes uint64) (err error) {
	s := Checkpoint{Memory: make([]byte, c.Pages*4096), Owner: slices.Clone(c.owner)}
	if s.Private, err = n.server.Private(bytes); err != nil {
		return err
	}
	n.saved = s
	_, err = unix.Pread(c.region, s.Memory, 0)
	return err
}

// until waits for a condition, or for a node's failure.
func (c *Cluster) until(ok func() bool) error {
	for !ok() {
		if c.err != nil {
			return fmt.Errorf("another node failed: %w", c.err)
		}
		c.changed.Wait()
	}
	return nil
}

func (c *Cluster) acquire(n *node, lock uint64) error {
	if lock >= uint64(len(c.owner)) {
		return fmt.Errorf("lock %d of %d", lock, len(c.owner))
	}
	if c.owner[lock] == n.id+1 {
		return fmt.Errorf("lock %d is taken twice", lock)
	}
	if err := c.until(func() bool { return c.owner[lock] == 0 }); err != nil {
		return err
	}
	c.owner[lock] = n.id + 1
	return nil
}

func (c *Cluster) release(n *node, lock uint64) error {
	if lock >= uint64(len(c.owner)) || c.owner[lock] != n.id+1 {
		return fmt.Errorf("lock %d is released and was not taken", lock)
	}
	c.owner[lock] = 0
	c.changed.Broadcast()
	return nil
}

// meet is a barrier: all come to the same.
func (c *Cluster) meet(id uint64) error {
	c.arrived[id]++
	if len(c.arrived) > 1 {
		return fmt.Errorf("nodes are at barriers %v", c.arrived)
	}
	round := c.round
	if c.arrived[id] == c.Nodes {
		clear(c.arrived)
		c.round++
		c.changed.Broadcast()
	}
	return c.until(func() bool { return c.round != round })
}

func (c *Cluster) sleep(n *node, cond, lock uint64) error {
	if cond >= uint64(len(c.sleepers)) {
		return fmt.Errorf("condition %d of %d", cond, len(c.sleepers))
	}
	if err := c.release(n, lock); err != nil {
		return err
	}
	woken := false
	c.sleepers[cond] = append(c.sleepers[cond], &woken)
	if err := c.until(func() bool { return woken }); err != nil {
		return err
	}
	return c.acquire(n, lock)
}

func (c *Cluster) wake(cond uint64, all bool) error {
	if cond >= uint64(len(c.sleepers)) {
		return fmt.Errorf("condition %d of %d", cond, len(c.sleepers))
	}
	s := c.sleepers[cond]
	if !all {
		s = s[:min(1, len(s))]
	}
	for _, woken := range s {
		*woken = true
	}
	c.sleepers[cond] = c.sleepers[cond][len(s):]
	c.changed.Broadcast()
	return nil
}
