// SPDX-License-Identifier: Apache-2.0

package verbs

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"lazystate/verbs/driver"
)

// Server accepts connections of Dial.
type Server struct {
	cfg    Config
	doors  []*door
	asked  chan knock
	ctx    context.Context // ends at Close
	cancel context.CancelFunc
	wg     sync.WaitGroup
	once   sync.Once
	err    error
}

// door is one listener of a server: the network's, or that of shared memory.
type door struct {
	dev *sharedDevice
	l   *Listener
}

// knock is a request at a door.
type knock struct {
	door *door
	req  *Request
	err  error // of a door that broke
}

// acceptTimeout bounds what one peer can hold up.
const acceptTimeout = 10 * time.Second

// Listen listens at an address of this host, with a port or with 0 for a free
// one: "rdma://10.77.0.1:7174" and the other schemes of Dial. For processes of
// this host it listens for shared memory too, under the same address.
func Listen(ctx context.Context, url string, c *Config) (*Server, error) {
	if c == nil {
		c = &Config{}
	}
	t, err := parseTarget(ctx, url, false)
	if err != nil {
		return nil, fmt.Errorf("listen at %s: %w", url, err)
	}
	s := &Server{cfg: *c, asked: make(chan knock)}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	err = s.open(ctx, t.device, t.addr)
	if err == nil && t.net && !c.NoLocal {
		err = s.open(ctx, localDevice, netip.AddrPortFrom(t.addr.Addr(), s.Addr().Port()))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("listen at %s: %w", url, err), s.Close())
	}
	for _, d := range s.doors {
		s.wg.Go(func() { s.attend(d) })
	}
	return s, nil
}

func (s *Server) open(ctx context.Context, device string, addr netip.AddrPort) error {
	dev, err := acquire(ctx, device)
	if err != nil {
		return err
	}
	l, err := dev.Listen(addr)
	if err != nil {
		return errors.Join(err, dev.release())
	}
	s.doors = append(s.doors, &door{dev, l})
	return nil
}

// Addr returns the address listened at, with its port.
func (s *Server) Addr() netip.AddrPort { return s.doors[0].l.Addr() }

// DeviceURL returns what Open opens as the device that is listened on: what rdma:// has come
// to. Shared memory beside it is not told of.
func (s *Server) DeviceURL() string { return s.doors[0].dev.url }

// attend hands requests to whoever accepts.
func (s *Server) attend(d *door) {
	for {
		req, err := d.l.Accept(s.ctx)
		if s.ctx.Err() != nil {
			if req != nil {
				req.Close()
			}
			return
		}
		select {
		case s.asked <- knock{d, req, err}:
		case <-s.ctx.Done():
			if req != nil {
				req.Close()
			}
			return
		}
		if err != nil {
			return
		}
	}
}

// Accept returns the next connection. Peers that Prepare refuses are rejected,
// with its error as private data, and those that fail on their way are dropped:
// Config.Failed is told of both.
func (s *Server) Accept(ctx context.Context) (*Conn, error) {
	for {
		var k knock
		select {
		case k = <-s.asked:
		case <-ctx.Done():
			return nil, fmt.Errorf("accept at %v: %w", s.Addr(), ctx.Err())
		case <-s.ctx.Done():
			return nil, fmt.Errorf("accept at %v: %w", s.Addr(), ErrClosed)
		}
		if k.err != nil {
			return nil, k.err
		}
		c, err := s.admit(ctx, k)
		if err == nil {
			return c, nil
		}
		if s.cfg.Failed != nil {
			s.cfg.Failed(err)
		}
	}
}

func (s *Server) admit(ctx context.Context, k knock) (*Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, acceptTimeout)
	defer cancel()
	asked := k.req.Param()
	setup, err := s.cfg.setup(k.door.dev.again(), &asked)
	if err != nil {
		why := err.Error()
		return nil, errors.Join(err, k.req.Reject([]byte(why[:min(len(why), driver.MaxRejectPrivate)])))
	}
	qp, err := k.req.Accept(ctx, setup.QP, &setup.Param)
	if err != nil {
		return nil, errors.Join(err, k.req.Close(), setup.close())
	}
	return &Conn{QP: qp, Parts: setup.Parts, Peer: asked}, nil
}

// Close stops listening; connections stay.
func (s *Server) Close() error {
	s.once.Do(func() {
		s.cancel()
		s.wg.Wait()
		for _, d := range s.doors {
			s.err = errors.Join(s.err, d.l.Close(), d.dev.release())
		}
	})
	return s.err
}
