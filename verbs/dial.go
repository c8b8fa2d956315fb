// SPDX-License-Identifier: Apache-2.0

package verbs

import (
	"context"
	"errors"
	"fmt"

	"lazystate/verbs/shm"
)

// Config is how Dial and Listen connect. nil is the zero Config.
type Config struct {
	Cap    QPCap      // zero: 128 requests and receives of one piece
	Access Access     // what the peer may do, as far as the memory allows it; zero: all
	Param  *ConnParam // nil: the default one

	// NoLocal never takes shared memory where ibv or roce was asked for.
	NoLocal bool
	// Prepare is called before the peer can send: to register memory, post
	// receives, set private data. Its error ends the dial, or rejects the peer.
	Prepare func(*Setup) error
	// Failed is told why a peer that asked Listen was not accepted.
	Failed func(error)
}

// Parts are what a connection is made of, save its queue pair.
type Parts struct {
	PD *PD
	CQ *CQ // of sends and receives; Wait works

	ch       *CompChannel
	dev      *sharedDevice
	mrs      []*MR
	released bool
}

// Setup is a connection before it is connected.
type Setup struct {
	*Parts
	QP      *PreparedQP
	Param   ConnParam  // what the peer will be told: Private may be set
	Request *ConnParam // what the peer asks; nil when we ask
}

// Conn is a connection with all that it is made of.
type Conn struct {
	*QP
	*Parts
	Peer ConnParam // what the peer asked, or answered
}

// AllocMR allocates and registers memory that ends with the connection.
func (p *Parts) AllocMR(bytes int, a Access) (*MR, error) {
	mr, err := p.PD.AllocMR(bytes, a)
	if err == nil {
		p.mrs = append(p.mrs, mr)
	}
	return mr, err
}

// Close ends the connection, then its memory, queues and domain, and the
// device if nobody else uses it. *BusyError if the domain has registrations
// that AllocMR of the connection did not make: close them, then call it again.
func (c *Conn) Close() error {
	return errors.Join(c.QP.Close(), c.Parts.close())
}

func (p *Parts) close() error {
	for _, mr := range p.mrs {
		if err := mr.Close(); err != nil {
			return err
		}
	}
	if p.CQ != nil {
		if err := p.CQ.Close(); err != nil {
			return err
		}
	}
	if p.ch != nil {
		if err := p.ch.Close(); err != nil {
			return err
		}
	}
	if p.PD != nil {
		if err := p.PD.Close(); err != nil {
			return err
		}
	}
	if p.released {
		return nil
	}
	p.released = true
	return p.dev.release()
}

// setup makes everything for a connection over dev, which it takes over.
func (c *Config) setup(dev *sharedDevice, request *ConnParam) (*Setup, error) {
	s := &Setup{Parts: &Parts{dev: dev}, Param: DefaultConnParam(), Request: request}
	if c.Param != nil {
		s.Param = *c.Param
	}
	if err := s.make(c); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *Setup) make(c *Config) (err error) {
	cap, access := c.Cap, c.Access
	if cap == (QPCap{}) {
		cap = QPCap{MaxSendWR: 128, MaxRecvWR: 128, MaxSendSGE: 1, MaxRecvSGE: 1}
	}
	if access == 0 {
		access = AccessAll
	}
	if s.PD, err = s.dev.AllocPD(); err != nil {
		return err
	}
	if s.ch, err = s.dev.CreateCompChannel(); err != nil {
		return err
	}
	if s.CQ, err = s.dev.CreateCQ(cap.MaxSendWR+cap.MaxRecvWR, s.ch); err != nil {
		return err
	}
	if s.QP, err = s.PD.PrepareQP(&QPInitAttr{SendCQ: s.CQ, Cap: cap, Access: access}); err != nil {
		return err
	}
	if c.Prepare != nil {
		return c.Prepare(s)
	}
	return nil
}

// close ends what is not connected.
func (s *Setup) close() error {
	if s.QP != nil {
		if err := s.QP.Close(); err != nil {
			return err
		}
	}
	return s.Parts.close()
}

// Dial connects to a Listen, on this host or another: "rdma://10.77.0.1:7174",
// "roce://...", "ibv://...", "shm://...", "mem://network/10.0.0.1:7174". If a
// process of this host listens there and is ours or root's, shared memory is
// taken instead of the network (Config.NoLocal: never); Conn.Device says which.
func Dial(ctx context.Context, url string, c *Config) (*Conn, error) {
	if c == nil {
		c = &Config{}
	}
	t, err := parseTarget(ctx, url, true)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", url, err)
	}
	if t.net && !c.NoLocal && isHere(t.addr.Addr()) && shm.Offered(ctx, t.addr) == nil {
		conn, err := t.dial(ctx, localDevice, c)
		if err == nil || ctx.Err() != nil {
			return conn, err
		}
		var rejected *RejectError // by the same program that the network leads to
		if errors.As(err, &rejected) {
			return nil, fmt.Errorf("dial %s: %w", url, err)
		}
	}
	conn, err := t.dial(ctx, t.device, c)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", url, err)
	}
	return conn, nil
}

const localDevice = "shm://local"

func (t *target) dial(ctx context.Context, device string, c *Config) (*Conn, error) {
	dev, err := acquire(ctx, device)
	if err != nil {
		return nil, err
	}
	s, err := c.setup(dev, nil)
	if err != nil {
		return nil, err
	}
	route, err := dev.Resolve(ctx, t.local, t.addr)
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	qp, peer, err := route.Connect(ctx, s.QP, &s.Param)
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	return &Conn{QP: qp, Parts: s.Parts, Peer: peer}, nil
}
