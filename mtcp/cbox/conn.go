// SPDX-License-Identifier: Apache-2.0

package cbox

import (
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"lazystate/backdoor/uapi"
	"lazystate/mtcp"
)

// Conn is the client's connection in the root process, with its box. Several
// goroutines may use it, as any net.Conn; an Export counts what has been read
// and written when it runs.
type Conn struct {
	*Session
	*rootState
}

// rootState is what only the root process has.
type rootState struct {
	s   *Session
	tcp *net.TCPConn
	raw syscall.RawConn

	up      mtcp.Reader
	log     ring
	down    mtcp.Writer
	release uint64 // output before it need not be held any longer
	hold    ring
	actions mtcp.Actions
	options []mtcp.Option // in force, as the table has them

	ended    bool // the application has closed the sending half
	shutHeld bool // in a nondeterministic interval: the next export lets it
	shutDue  bool // the sending half closes once released output is out

	touched         uint64 // bytes of the log that have pages
	readBy, writeBy time.Time

	rmu, wmu sync.Mutex // one Read, one Write at a time, as the poller wants it
	in       transfer   // the Read under way; made once, so that a call allocates nothing
	out      transfer
}

// transfer is what a callback of the poller works on.
type transfer struct {
	p   []byte
	n   int
	err error
	fn  func(fd uintptr) bool
}

// Create makes the box of a connection that has just been accepted, of which
// nothing has been read or written. It is create_sc of §2.4.3.
func Create(conn *net.TCPConn, cfg Config) (*Conn, error) {
	if err := control(conn, CheckSocket); err != nil {
		return nil, err
	}
	sz, err := cfg.sizes()
	if err != nil {
		return nil, err
	}
	h, procs, chans, err := sz.place()
	if err != nil {
		return nil, err
	}
	if err := cfg.Quota.take(int64(h.Len)); err != nil {
		return nil, err
	}
	c, err := create(conn, cfg, h, procs, chans)
	if err != nil {
		cfg.Quota.give(int64(h.Len))
		return nil, fmt.Errorf("make a continuation box: %w", err)
	}
	return c, nil
}

func create(conn *net.TCPConn, cfg Config, h uapi.CboxHead, procs []uapi.CboxProc, chans []uapi.CboxChan) (*Conn, error) {
	var r Region
	if err := control(conn, func(fd int) (err error) { r, _, err = newRegion(int64(h.Len), fd); return }); err != nil {
		return nil, err
	}
	c, err := fill(conn, cfg, r, h, procs, chans)
	if err != nil {
		r.File.Close()
		return nil, err
	}
	if cfg.Keeper != nil {
		if err := cfg.Keeper.Keep(c.ID(), r, conn); err != nil {
			c.mu.Lock()
			c.Session.release()
			c.mu.Unlock()
			r.File.Close()
			return nil, fmt.Errorf("hand the box to its keeper: %w", err)
		}
	}
	return c, nil
}

func fill(conn *net.TCPConn, cfg Config, r Region, h uapi.CboxHead, procs []uapi.CboxProc, chans []uapi.CboxChan) (*Conn, error) {
	m, err := r.mapped()
	if err != nil {
		return nil, err
	}
	var read, written uint64
	if err := control(conn, func(fd int) (err error) { read, written, err = offsets(fd, 0, 0); return }); err != nil {
		m.unmap()
		return nil, err
	}
	h.Session, h.Generation, h.State = newID(), 1, uapi.CboxLive
	local, remote := addrPorts(conn)
	h.Local, h.Remote = putAddr(local), putAddr(remote)
	h.ReadBase, h.WriteBase = -read, -written
	procs[0].State = uapi.CboxProcJoined
	uapi.PutCString(procs[0].Name[:], cfg.Name)
	write(m, &h, procs, chans)
	head, err := readHead(m)
	if err != nil {
		m.unmap()
		return nil, err
	}
	return resume(&Session{cfg: cfg, region: r, m: m, head: head, news: make(chan struct{})}, conn)
}

// Resume goes on with a session in this process: conn is its connection, either
// the socket that a process before this one had, or one that Bind was told of.
func Resume(r Region, conn *net.TCPConn, cfg Config) (*Conn, error) {
	s, err := open(r, 0, cfg)
	if err != nil {
		return nil, err
	}
	if err := cfg.Quota.take(r.Length); err != nil {
		s.m.unmap()
		return nil, err
	}
	c, err := resume(s, conn)
	if err != nil {
		cfg.Quota.give(r.Length)
		return nil, fmt.Errorf("resume session %s: %w", s.ID(), err)
	}
	return c, nil
}

// resume consumes s if it fails.
func resume(s *Session, conn *net.TCPConn) (*Conn, error) {
	r := &rootState{s: s, tcp: conn}
	s.root = r
	if err := s.takeOver(); err != nil {
		s.mu.Lock()
		s.release()
		s.mu.Unlock()
		return nil, err
	}
	return &Conn{s, r}, nil
}

// begin sets the positions of the connection by the last snapshot and the
// kernel's counters, and does what the process before may not have got to do.
func (r *rootState) begin(h *Head, snap *Snapshot) (err error) {
	s := r.s
	if r.raw, err = r.tcp.SyscallConn(); err != nil {
		return err
	}
	r.log = ring{s.m[h.Log.Off:][:h.Log.Len], snap.LogBase}
	r.hold = ring{s.m[h.Hold.Off:][:h.Hold.Len], 0}
	var read, out uint64
	if err := control(r.tcp, func(fd int) (err error) { read, out, err = offsets(fd, h.ReadBase, h.WriteBase); return }); err != nil {
		return err
	}
	if read < h.Read || out < h.Written {
		return damaged("positions", "read %d, written %d, the kernel has counted %d, %d", h.Read, h.Written, read, out)
	}
	if r.up, err = mtcp.NewReader(snap.LSR, read, h.Log.Len); err != nil {
		return err
	}
	if r.down, err = mtcp.NewWriter(snap.LSW, out, snap.NDI); err != nil {
		return err
	}
	r.release = snap.LSW
	r.touched = h.Log.Len
	r.in.fn, r.out.fn = r.readStep, r.writeStep
	if err := r.redo(h, snap); err != nil {
		return err
	}
	return r.flushNow()
}

// redo sets the options that were in force and closes what was closed, which
// does no harm where it has been done. What a nondeterministic interval
// recorded has not been seen by anybody and is forgotten.
func (r *rootState) redo(h *Head, snap *Snapshot) (err error) {
	if snap.NDI {
		h.Actions = snap.Actions
		r.s.m.put32(uapi.CboxHeadActionsOff, snap.Actions)
	}
	log, err := h.Since(snap.Actions)
	if err != nil {
		return err
	}
	r.actions = mtcp.NewActions(snap.Actions, log, int(h.Acts.Count))
	if r.options, err = h.Options(); err != nil {
		return err
	}
	for i, o := range r.options {
		putOpt(r.s.m, &h.CboxHead, i, o)
		if err := control(r.tcp, func(fd int) error { return setsockopt(fd, o) }); err != nil {
			return err
		}
	}
	r.ended = snap.Shut
	r.shutDue = snap.Shut || mtcp.EndsWriting(log)
	for _, a := range log {
		if a.Kind == mtcp.ShutRead {
			return control(r.tcp, func(fd int) error { return shutdown(fd, unix.SHUT_RD) })
		}
	}
	return nil
}

// positions writes where the connection is into a snapshot.
func (r *rootState) positions(b []byte) {
	m := memory(b)
	m.put64(uapi.CboxSnapLSROff, r.up.Pos)
	m.put64(uapi.CboxSnapLSWOff, r.down.Pos)
	base := r.log.base
	if r.up.Pos == r.up.End {
		base = r.up.Pos // an empty log begins at its first page again
	}
	m.put64(uapi.CboxSnapLogBaseOff, base)
	m.put32(uapi.CboxSnapActionsOff, r.actions.Next)
}

// exported follows a snapshot that counts; true if output is to be sent.
func (r *rootState) exported(ndi bool) bool {
	r.shutDue = r.shutDue || r.shutHeld
	r.shutHeld = false
	r.up.Export()
	if r.up.Pos == r.up.End {
		r.log.base = r.up.Pos
	}
	r.actions.Export()
	_, _ = r.down.Export(ndi) // canExport has asked already
	r.release = r.down.Pos
	return r.down.Head < r.release || r.shutDue
}

// Positions returns how far the application has come in what the client sends,
// and in what it is sent, since accept: a replay sees them go back to those of
// the snapshot.
func (r *rootState) Positions() (read, written uint64) {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	return r.up.Pos, r.down.Pos
}

// LocalAddr is this server's end, RemoteAddr the client's.
func (r *rootState) LocalAddr() net.Addr { return r.tcp.LocalAddr() }

// RemoteAddr: see LocalAddr. Package net does not know it of a connection that had
// ended when this process was given it; the box does.
func (r *rootState) RemoteAddr() net.Addr {
	if a := r.tcp.RemoteAddr(); a != nil {
		return a
	}
	return net.TCPAddrFromAddrPort(r.s.head.Remote())
}

// addrPorts returns both ends of a connection.
func addrPorts(conn *net.TCPConn) (local, remote netip.AddrPort) {
	if a, ok := conn.LocalAddr().(*net.TCPAddr); ok {
		local = a.AddrPort()
	}
	if a, ok := conn.RemoteAddr().(*net.TCPAddr); ok {
		remote = a.AddrPort()
	}
	return local, remote
}
