// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"lazystate/tools/lab/wire"
)

// drainTime is how long output is read after a process ended: a grandchild
// that kept the pipe open must not keep the request open.
const drainTime = 300 * time.Millisecond

// runProcess runs a process to its end with its streams over the channel.
func (c *call) runProcess() (wire.Reply, error) {
	if c.req.Proc == nil {
		return wire.Reply{}, unix.EINVAL
	}
	st, err := newStreams(*c.req.Proc)
	if err != nil {
		return wire.Reply{}, err
	}
	defer st.close()
	child, err := c.s.children.start(*c.req.Proc, st.theirs, c.req.Proc.TTY)
	if err != nil {
		return wire.Reply{}, err
	}
	defer c.s.children.forget(child)
	st.closeTheirs()
	drained := c.pump(st)
	select {
	case <-child.done:
	case <-c.cancel:
		unix.Kill(-child.pid, unix.SIGKILL)
		<-child.done
	}
	st.expire(time.Now().Add(drainTime))
	<-drained
	return wire.Reply{PID: child.pid, Exit: child.exit}, nil
}

// pump copies the streams and returns a channel closed at the end of output.
func (c *call) pump(st *streams) <-chan struct{} {
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { c.stream(&output{File: st.out}, wire.KindStdout) })
	if st.err != nil {
		wg.Go(func() { c.stream(&output{File: st.err}, wire.KindStderr) })
	}
	go func() { wg.Wait(); close(done) }()
	go func() {
		for {
			select {
			case b := <-c.stdin:
				if len(b) == 0 {
					st.endInput()
					return
				}
				st.in.Write(b)
				c.credit()
			case <-done:
				return
			}
		}
	}()
	return done
}

// start leaves a process in the background.
func (c *call) start() (wire.Reply, error) {
	p := c.req.Proc
	if p == nil {
		return wire.Reply{}, unix.EINVAL
	}
	null, err := os.OpenFile("/dev/null", os.O_RDWR, 0)
	if err != nil {
		return wire.Reply{}, err
	}
	defer null.Close()
	out := null
	if p.Log != "" {
		if out, err = os.OpenFile(p.Log, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644); err != nil {
			return wire.Reply{}, err
		}
		defer out.Close()
	}
	child, err := c.s.children.start(*p, [3]*os.File{null, out, out}, false)
	if err != nil {
		return wire.Reply{}, err
	}
	return wire.Reply{PID: child.pid}, nil
}

var errNotOurs = errors.New("not a process started by the lab, or waited for already")

func (c *call) wait() (wire.Reply, error) {
	child := c.s.children.find(c.req.PID)
	if child == nil {
		return wire.Reply{}, fmt.Errorf("pid %d: %w", c.req.PID, errNotOurs)
	}
	select {
	case <-child.done:
		c.s.children.forget(child)
		return wire.Reply{PID: child.pid, Exit: child.exit}, nil
	case <-c.cancel:
		return wire.Reply{}, errCancelled
	}
}
