// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"maps"
	"net/netip"
	"time"

	"lazystate/mtcp/policy"
	"lazystate/mtcp/steer"
	"lazystate/mtcp/wire"
)

// advised is a server's MIGRATE_ADVISE for a connection. The certificate says
// that it is the server; one that is repeated gets the same answer, and one too
// many none yet.
func (a *Agent) advised(app, on steer.Flow, o wire.MigrateAdvise) {
	if o.Reason == wire.ReasonElsewhere {
		a.follow(app, o)
		return
	}
	a.mu.Lock()
	s := a.sessions[app]
	switch {
	case s == nil || !s.cert.Equal(o.Cert):
		a.mu.Unlock()
		a.quiet.Warn("advice that no server of the connection gives", "flow", app)
		return
	case s.moving != nil:
		a.mu.Unlock()
		return
	case s.advice == o.N:
		answer := s.answer
		a.mu.Unlock()
		if answer != 0 {
			a.decline(app, on, o, answer)
		}
		return
	case !a.advices.allow(on.Remote.Addr().String()): // it says so again
		a.mu.Unlock()
		a.quiet.With("server", on.Remote.Addr()).Warn("it advises too often")
		return
	}
	s.advice, s.answer = o.N, 0
	a.mu.Unlock()
	if a.Advice != nil && !a.Advice(app, o) {
		a.decline(app, on, o, wire.ReasonPolicy)
		return
	}
	a.tasks.Go(func() {
		err := a.Move(a.ctx, app, o.Target)
		if err == nil || a.ctx.Err() != nil {
			return
		}
		a.log.Info("advice could not be followed", "flow", app, "reason", o.Reason, "err", err)
		a.decline(app, on, o, wire.ReasonState)
	})
}

// decline says no, and why.
func (a *Agent) decline(app, on steer.Flow, o wire.MigrateAdvise, why wire.Reason) {
	a.mu.Lock()
	if s := a.sessions[app]; s != nil {
		s.answer = why
	}
	a.mu.Unlock()
	n, err := a.steer.Query(app)
	seg := wire.Segment{Src: on.Local, Dst: on.Remote, Seq: n.SndNxt, Ack: n.RcvNxt, Flags: wire.ACK, Window: 65535}
	if err == nil {
		seg.Options, err = wire.Append(nil, wire.MigrateRefuse{N: o.N, Reason: why, Cert: o.Cert})
	}
	if err == nil {
		err = a.sender.Send(seg)
	}
	if err != nil {
		a.log.Debug("decline an advice", "flow", app, "err", err)
	}
}

// watch is a connection under a policy.
type watch struct {
	*policy.Watch
	pace policy.Pace
}

const lookEvery = 100 * time.Millisecond

// look asks the policy about every connection, once in a while.
func (a *Agent) look() {
	every := a.Every
	if every <= 0 {
		every = lookEvery
	}
	began := time.Now()
	for t := time.NewTicker(every); ; {
		select {
		case <-t.C:
			a.lookAt(time.Since(began))
		case <-a.ctx.Done():
			t.Stop()
			return
		}
	}
}

// lookAt asks the kernel about each of them without holding up those that move.
func (a *Agent) lookAt(now time.Duration) {
	a.mu.Lock()
	all := maps.Clone(a.sessions)
	a.mu.Unlock()
	for f, s := range all {
		if n, err := a.steer.Query(f); err == nil {
			a.judge(f, s, n, now)
		}
	}
}

// judge has a connection move if its policy wants that.
func (a *Agent) judge(f steer.Flow, s *clientSession, n steer.Numbers, now time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.sessions[f] != s || s.moving != nil {
		return
	}
	if s.watch == nil {
		s.watch = &watch{Watch: a.Policy()}
	}
	why := s.watch.Look(sampleOf(now, s.moves, n))
	if why == "" {
		return
	}
	to := s.watch.pace.Order(s.around(), s.at, now)
	if len(to) == 0 {
		return
	}
	a.log.Info("a policy moves a connection", "flow", f, "why", why, "to", to)
	w := s.watch
	a.tasks.Go(func() {
		err := a.Move(a.ctx, f, to...)
		a.mu.Lock()
		defer a.mu.Unlock()
		w.pace.Ended(to, err == nil, now)
	})
}

// around are all servers of a connection, in the order in which they are gone round.
func (s *clientSession) around() []netip.AddrPort {
	return append([]netip.AddrPort{s.first}, s.servers...)
}

func sampleOf(now time.Duration, moves int, n steer.Numbers) policy.Sample {
	unacked := uint64(n.SndUna.Size(n.SndNxt))
	sent := max(n.Acked+unacked, 1) - 1 // who opens a connection has its SYN among what is acknowledged
	return policy.Sample{At: now, Moves: moves, Received: n.Received, Sent: sent, Unacked: unacked, Retransmitted: n.Retransmitted}
}
