// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"lazystate/backdoor/uapi"
	"lazystate/mtcp/cbox"
)

// Client is a process's side: it makes the keeper known to the sessions here,
// and takes those that others leave behind. It is a cbox.Keeper.
type Client struct {
	path, name string
	bell       *cbox.Bell

	left     chan struct{} // closed when there is nothing on its way any more that waited for us
	leftOnce sync.Once

	mu       sync.Mutex
	ctl      *net.UnixConn
	sessions *net.UnixConn
	listen   []*net.TCPListener // that are to outlive us
	closed   bool
}

// Dial introduces this process as one that serves name: it may be handed any
// session of that name, of this user.
func Dial(path, name string) (*Client, error) {
	bell, err := cbox.NewBell()
	if err != nil {
		return nil, err
	}
	c := &Client{path: path, name: name, bell: bell, left: make(chan struct{})}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.connect(); err != nil {
		_ = bell.Close()
		return nil, fmt.Errorf("introduce %s to the keeper: %w", name, err)
	}
	return c, nil
}

// connect dials and says HELLO; mu is held.
func (c *Client) connect() error {
	if len(c.name) >= uapi.CboxName {
		return unix.ENAMETOOLONG
	}
	ctl, err := net.DialUnix("unixpacket", nil, &net.UnixAddr{Name: c.path, Net: "unixpacket"})
	if err != nil {
		return err
	}
	c.hangUp()
	c.ctl = ctl
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socketpair", err)
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "sessions"), os.NewFile(uintptr(fds[1]), "sessions")
	defer ours.Close()
	defer theirs.Close()
	if c.sessions, err = unixConn(ours); err != nil {
		return err
	}
	q := uapi.ScdRequest{Kind: uapi.ScdHello, Slot: uapi.ScdTell}
	uapi.PutCString(q.Name[:], c.name)
	a, _, err := c.exchange(&q, int(c.bell.File.Fd()), fds[1])
	switch {
	case err != nil:
		c.hangUp()
	case a.Most == 0:
		c.hasAll()
	}
	return err
}

// hasAll notes that nothing more is to come of what waited for this process.
func (c *Client) hasAll() { c.leftOnce.Do(func() { close(c.left) }) }

// hangUp closes what there is; mu is held.
func (c *Client) hangUp() {
	if c.ctl != nil {
		_ = c.ctl.Close()
	}
	if c.sessions != nil {
		_ = c.sessions.Close()
	}
}

// Close hangs up. Sessions that this process has stay its own.
func (c *Client) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	c.hangUp()
	return c.bell.Close()
}

// ask makes one request; files are what came with the answer.
func (c *Client) ask(q *uapi.ScdRequest, fds ...int) (files []*os.File, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, files, err = c.exchange(q, fds...)
	return files, err
}

func (c *Client) exchange(q *uapi.ScdRequest, fds ...int) (a uapi.ScdAnswer, files []*os.File, err error) {
	q.Magic = uapi.ScdMagic
	var oob []byte
	if len(fds) > 0 {
		oob = unix.UnixRights(fds...)
	}
	if _, _, err := c.ctl.WriteMsgUnix(q.Encode(), oob, nil); err != nil {
		return a, nil, err
	}
	b := make([]byte, uapi.ScdAnswerSize)
	n, files, err := message(c.ctl, b)
	if err != nil {
		return a, nil, err
	}
	if err = a.Decode(b[:n]); err == nil && (a.Magic != uapi.ScdMagic || a.Kind != q.Kind) {
		err = fmt.Errorf("answer of kind %d to %s", a.Kind, uapi.ScdKindName(q.Kind))
	}
	if err == nil {
		err = asError(&a)
	}
	if err != nil {
		closeAll(files)
		return a, nil, err
	}
	return a, files, nil
}

// Keep is cbox.Keeper's.
func (c *Client) Keep(id cbox.ID, r cbox.Region, conn *net.TCPConn) error {
	return c.keep(id, 0, r, conn)
}

func (c *Client) keep(id cbox.ID, slot uint32, r cbox.Region, conn *net.TCPConn) error {
	q := uapi.ScdRequest{Kind: uapi.ScdKeep, Session: id, Slot: slot, Offset: uint64(r.Offset), Length: uint64(r.Length)}
	if conn == nil {
		_, err := c.ask(&q, int(r.File.Fd()))
		return err
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	if err := raw.Control(func(fd uintptr) { _, inner = c.ask(&q, int(r.File.Fd()), int(fd)) }); err != nil {
		return err
	}
	return inner
}

// Done is cbox.Keeper's. A keeper that is gone has nothing to forget.
func (c *Client) Done(id cbox.ID, generation uint64) {
	_, _ = c.ask(&uapi.ScdRequest{Kind: uapi.ScdDone, Session: id, Generation: generation})
}

// Hand has a child's slot opened by a process that serves its name, now or when
// there is one. The children of a replay are handed again, which does nothing.
func (c *Client) Hand(s *cbox.Session, child *cbox.Child) error {
	_, err := c.ask(&uapi.ScdRequest{Kind: uapi.ScdHand, Session: s.ID(), Generation: s.Generation(), Slot: child.Slot})
	return err
}

// Take waits for a session that this process is to go on with: a root's comes
// with its connection, for cbox.Resume, another slot is for cbox.Open; both with
// Config. A keeper that has gone is waited for, and told what there is here.
func (c *Client) Take() (*cbox.Passed, error) {
	for {
		c.mu.Lock()
		sessions, closed := c.sessions, c.closed
		c.mu.Unlock()
		if closed {
			return nil, net.ErrClosed
		}
		p, err := cbox.Take(sessions)
		if err == nil && p.All {
			c.hasAll()
			continue
		}
		if err == nil {
			return p, nil
		}
		if hungUp(err) {
			c.hasAll() // what was on its way comes from another keeper, or not at all
			c.redial()
			continue
		}
		return nil, err
	}
}

func hungUp(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, unix.ECONNRESET) || errors.Is(err, unix.EPIPE)
}

// redialWait is how often a keeper that has gone is looked for.
const redialWait = 100 * time.Millisecond

// redial finds the keeper that has been started anew.
func (c *Client) redial() {
	for {
		c.mu.Lock()
		if c.closed {
			c.mu.Unlock()
			return
		}
		err := c.connect()
		listen := c.listen
		c.mu.Unlock()
		if err == nil {
			c.tellAll(listen)
			return
		}
		time.Sleep(redialWait)
	}
}

// tellAll tells a new keeper what this process has. What it refuses goes on
// unprotected.
func (c *Client) tellAll(listen []*net.TCPListener) {
	for _, l := range listen {
		_ = c.outlive(l)
	}
	c.bell.Each(func(s *cbox.Session, slot uint32, conn *net.TCPConn) { _ = c.keep(s.ID(), slot, s.Region(), conn) })
}

// Config is cfg for the sessions of this process.
func (c *Client) Config(cfg cbox.Config) cbox.Config {
	cfg.Keeper, cfg.Bell, cfg.Name = c, c.bell, c.name
	return cfg
}

// Listen returns a listener that accepts connections with boxes, and sessions
// that an earlier process has left behind or that come from elsewhere. Its
// socket, if on a port of its own, is the one of the process before.
func (c *Client) Listen(ctx context.Context, network, address string, cfg cbox.Config) (*Listener, error) {
	l, err := c.inherited(address)
	if err != nil {
		return nil, err
	}
	if l == nil {
		l, err = c.fresh(ctx, network, address)
	}
	if errors.Is(err, unix.EADDRINUSE) { // perhaps by another process of this service, that was quicker
		if theirs, _ := c.inherited(address); theirs != nil {
			l, err = theirs, nil
		}
	}
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	c.listen = append(c.listen, l)
	c.mu.Unlock()
	return newListener(c, &cbox.Listener{TCPListener: l, Config: c.Config(cfg)}), nil
}

// inherited asks for the listening socket of an earlier process; nil if there is none.
func (c *Client) inherited(address string) (*net.TCPListener, error) {
	a, err := net.ResolveTCPAddr("tcp", address)
	if err != nil || a.Port == 0 {
		return nil, err
	}
	files, err := c.ask(&uapi.ScdRequest{Kind: uapi.ScdListener, Port: uint32(a.Port)})
	if errors.Is(err, unix.ENOENT) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer closeAll(files)
	if len(files) != 1 {
		return nil, fmt.Errorf("keeper: %d listening sockets", len(files))
	}
	return tcpListener(files[0])
}

// outlive has the keeper hold a socket that listens or is about to, too.
func (c *Client) outlive(l syscall.Conn) error {
	raw, err := l.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	if err := raw.Control(func(fd uintptr) { _, inner = c.ask(&uapi.ScdRequest{Kind: uapi.ScdListen}, int(fd)) }); err != nil {
		return err
	}
	return inner
}
