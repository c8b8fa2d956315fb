// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"lazystate/backdoor/uapi"
	"lazystate/dsm"
	"lazystate/dsm/call"
	"lazystate/dsm/pager"
)

// program is what uses the region.
type program struct {
	server *call.Server
	call   *call.Call  // that is not answered
	todo   []dsm.Input // of it
	busy   bool        // with the one before those
	faults bool        // it waits for a page
	since  time.Time   // it waits, for that or a call
	parts  bool        // it has ended, and waits for all others' end
	calls  uint64
	ended  *ending
}

// ending is the answer to a call.
type ending struct {
	cause uint32
	flags call.Flags
	why   string
}

// answer ends the call, if there is an answer to it.
func (d *Daemon) answer() *ending {
	p := d.prog
	e := p.ended
	if e != nil {
		d.times.called(p.call.Kind, time.Since(p.since))
		p.call, p.todo, p.ended = nil, nil, nil
	}
	return e
}

// Serve waits for the program and serves it until it is over: then the error is
// nil. The node lives on until Close, for others.
func (d *Daemon) Serve(ctx context.Context, l *net.UnixListener) error {
	stop := context.AfterFunc(ctx, func() { d.Stop(ctx.Err()) })
	defer stop()
	defer l.Close()
	go d.admit(l)
	select {
	case <-d.ended:
		return nil
	case <-d.failed:
	}
	select {
	case <-d.ended: // it was told, and ends in its own way
	case <-time.After(farewell):
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.err
}

// Part waits until the programs of all nodes have ended well. Before that a node
// may still need this one to recover; when it returns, what has been sent is still
// to be delivered, and nothing else is left to do.
func (d *Daemon) Part(ctx context.Context) error {
	d.enter()
	if d.err == nil {
		d.prog.parts = true
		d.step(dsm.Begin{Op: dsm.Op{Kind: dsm.Barrier, ID: uapi.DsmLast}})
	}
	d.leave()
	select {
	case <-d.parted:
		return nil
	case <-d.failed:
		d.mu.Lock()
		defer d.mu.Unlock()
		return d.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// farewell is how long a program may take to say why it fails.
const farewell = time.Second

// Joined is true if a program has come.
func (d *Daemon) Joined() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.prog != nil
}

// admit takes the first program, and no other.
func (d *Daemon) admit(l *net.UnixListener) {
	for {
		conn, err := l.AcceptUnix()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			d.Stop(fmt.Errorf("wait for the program: %w", err))
			return
		}
		if d.Joined() {
			_ = call.Refuse(conn, unix.EBUSY, fmt.Sprintf("%v has its program", d.cfg.Core.Self))
			_ = conn.Close()
			continue
		}
		if err := d.attach(conn); err != nil {
			_ = conn.Close()
			d.log.Error("a program", "error", err)
		}
	}
}

// Stop ends this node, with a reason. A program that waits for an operation is told.
func (d *Daemon) Stop(err error) {
	d.enter()
	defer d.leave()
	d.fail(err)
}

// attach sets a program up.
func (d *Daemon) attach(conn *net.UnixConn) error {
	device := pager.Device()
	if device >= 0 {
		defer unix.Close(device)
	}
	k := d.cfg.Core
	w := uapi.DsmWelcome{
		Base: d.cfg.Base, Bytes: uint64(k.Pages) * uint64(k.PageSize), PageSize: uint32(k.PageSize),
		Node: uint32(k.Self), Nodes: uint32(k.Nodes), Incarnation: d.inc, Locks: uint32(k.Locks - 1), Conds: uint32(k.Conds),
	}
	o := call.Offer{Welcome: w, Region: d.mem.FD(), Device: device}
	if d.resume != nil {
		o.Welcome.Flags, o.Private = uapi.DsmRestored, *d.resume
	}
	s, a, err := call.Accept(conn, o)
	if err != nil {
		return err
	}
	d.enter()
	err = d.mem.Attach(a.Uffd, a.Pagemap, d.cfg.Base)
	if err == nil {
		for lock, here := range d.tokens {
			s.Token(uint32(lock), here)
		}
		d.prog = &program{server: s}
		d.bind(int(s.Thread))
	}
	d.leave()
	if err := errors.Join(err, s.Start(err)); err != nil {
		return err
	}
	go d.faults()
	go d.calls(s)
	go d.gone(s)
	return nil
}

// gone waits for the program's end.
func (d *Daemon) gone(s *call.Server) {
	err := s.Gone()
	d.enter()
	defer d.leave()
	d.mem.Detach()
	switch {
	case d.over:
	case err != nil:
		d.fail(err)
	default:
		d.fail(errors.New("the program has ended in its midst"))
	}
	close(d.ended)
}

// faults reads page faults, for as long as the process lives: nothing else ends
// that read.
func (d *Daemon) faults() {
	runtime.LockOSThread()
	d.bind(0)
	for {
		f, err := d.mem.Next()
		if err != nil {
			d.Stop(err)
			return
		}
		d.enter()
		d.fault(f)
		d.leave()
	}
}

// fault begins an access of the program.
func (d *Daemon) fault(f pager.Fault) {
	p := d.prog
	switch {
	case d.err != nil:
	case f.Thread != p.server.Thread:
		d.fail(&RefusedError{fmt.Errorf("thread %d of the program accesses page %d, and thread %d uses the shared memory: one may, for a replay knows no order between two", f.Thread, f.Page, p.server.Thread)})
	case d.mem.Allowed(f.Fault):
		d.mem.Resume(f.Page)
	case p.faults || p.call != nil:
		// Told twice. Who waits is woken with the first.
	default:
		p.faults, p.since = true, time.Now()
		d.step(f.Fault)
	}
}

// calls hears the program's calls. A node that has failed still says so.
func (d *Daemon) calls(s *call.Server) {
	runtime.LockOSThread()
	d.bind(0)
	for {
		select {
		case <-d.ended:
			return
		default:
		}
		if c, ok := s.Next(); ok {
			d.enter()
			d.begun(c)
			d.leave()
		}
	}
}
