// SPDX-License-Identifier: Apache-2.0

package nic

import (
	"context"
	"errors"
	"time"

	"lazystate/backdoor/uapi"
	"lazystate/verbs"
	"lazystate/verbs/driver"
)

// handshake bounds what a peer may take to become ready.
const handshake = 10 * time.Second

// answer admits one connection request or says why not, and keeps its queue pair
// until either side ends it.
func (s *Server) answer(ctx context.Context, f *front, req *verbs.Request) {
	remote := req.Remote()
	g, private, denial := s.admit(ctx, f, req.Param().Private)
	if denial != nil {
		s.stats.denied.Add(1)
		s.log.Info("connection denied", "from", remote.String(), "monitor", denial.Monitor, "reason", uapi.DenialReasonName(denial.Reason))
		if err := req.Reject(denial.Encode()); err != nil {
			s.log.Warn("reject", "from", remote.String(), "err", err)
		}
		return
	}
	defer g.leave()
	qp, err := s.accept(ctx, req, g, private)
	if err != nil {
		s.log.Warn("accept", "from", remote.String(), "err", errors.Join(err, req.Close()))
		return
	}
	s.log.Info("connected", "from", remote.String(), "monitor", g.slot, "grant", g.id, "qp", qp.Num())
	select {
	case <-qp.Done():
	case <-g.gone:
	}
	bye, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = qp.Disconnect(bye) // the peer may be gone
	if err := qp.Close(); err != nil {
		s.log.Warn("close queue pair", "err", err)
	}
	s.log.Info("disconnected", "from", remote.String(), "monitor", g.slot, "grant", g.id, "qp", qp.Num())
}

func (s *Server) accept(ctx context.Context, req *verbs.Request, g *grant, private []byte) (*verbs.QP, error) {
	p, err := g.pd.PrepareQP(&verbs.QPInitAttr{
		SendCQ: g.front.cq, Cap: verbs.QPCap{MaxSendWR: 1, MaxRecvWR: 1, MaxSendSGE: 1, MaxRecvSGE: 1}, Access: remoteAll,
		GID: driver.GIDOf(req.Local().Addr()),
	})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, handshake)
	defer cancel()
	param := verbs.DefaultConnParam()
	param.ResponderResources = maxReads
	param.Private = private
	qp, err := req.Accept(ctx, p, &param)
	if err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return qp, nil
}

// maxReads is how many READs and atomics of one queue pair are answered at once.
const maxReads = 64

// admit finds or makes the grant that a hello asks for, with a place in it.
func (s *Server) admit(ctx context.Context, f *front, b []byte) (*grant, []byte, *uapi.Denial) {
	v, err := s.target.look(ctx)
	s.mu.Lock()
	h, denial := s.guard.Admit(s.now(), b)
	s.mu.Unlock()
	switch {
	case denial != nil:
		return nil, nil, denial
	case err != nil:
		return nil, nil, s.deny(&h, uapi.DenyClosed)
	case h.Flags&uapi.HelloTakeover != 0:
		s.takeOver(&h)
	}
	g, reason := s.place(f, &h, v)
	if g == nil {
		return nil, nil, s.deny(&h, reason)
	}
	t := g.table.Load()
	if t == nil {
		g.leave()
		return nil, nil, s.deny(&h, uapi.DenyClosed)
	}
	return g, g.message(&h, t.root), nil
}

func (s *Server) deny(h *uapi.Hello, reason uint32) *uapi.Denial {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.guard.Deny(h, reason)
}

// takeOver revokes what the monitor had before: it was restarted, or another
// process of its takes its place.
func (s *Server) takeOver(h *uapi.Hello) {
	for _, g := range s.all() {
		if g.slot == h.Monitor && g.id != h.Join {
			g.revoke()
		}
	}
}

func (s *Server) place(f *front, h *uapi.Hello, v *view) (*grant, uint32) {
	s.admission.Lock()
	defer s.admission.Unlock()
	if h.Join != 0 {
		return s.join(f, h)
	}
	id, ok := s.room()
	if !ok {
		return nil, uapi.DenyFull
	}
	g, err := s.newGrant(f, id, h.Monitor)
	if err != nil {
		s.log.Error("new grant", "monitor", h.Monitor, "err", err)
		return nil, uapi.DenyClosed
	}
	g.enter()
	s.grantsMu.Lock()
	s.grants[id] = g
	s.grantsMu.Unlock()
	g.follow(v)
	return g, 0
}

func (s *Server) join(f *front, h *uapi.Hello) (*grant, uint32) {
	s.grantsMu.Lock()
	defer s.grantsMu.Unlock()
	g := s.grants[h.Join]
	switch {
	case g == nil || g.front != f || g.slot != h.Monitor || g.revoked():
		return nil, uapi.DenyJoin
	case !g.enter():
		return nil, uapi.DenyFull
	}
	return g, 0
}

// room returns the number of a new grant if there is a place for it. One that
// nobody uses is revoked for it: a peer that died tells nobody.
func (s *Server) room() (id uint32, ok bool) {
	s.grantsMu.Lock()
	defer s.grantsMu.Unlock()
	live, now := 0, s.now()
	var oldest *grant
	for _, g := range s.grants {
		if g.revoked() {
			continue
		}
		live++
		if oldest == nil || g.idle(now) > oldest.idle(now) {
			oldest = g
		}
	}
	if live >= s.opts.Grants {
		if oldest.idle(now) < s.opts.Idle {
			return 0, false
		}
		oldest.revoke()
	}
	s.lastID++
	return s.lastID, true
}
