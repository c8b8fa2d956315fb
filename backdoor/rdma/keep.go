// SPDX-License-Identifier: Apache-2.0

package rdma

import (
	"context"
	"errors"
	"fmt"
	"time"

	"lazystate/backdoor"
	"lazystate/verbs"
)

// mend asks for a new connection in place of a queue pair that failed. It is
// called with its lane locked, so another goroutine does the work.
func (m *Memory) mend(old *verbs.QP) {
	m.oldMu.Lock()
	m.old = append(m.old, old)
	m.oldMu.Unlock()
	select {
	case m.kick <- struct{}{}:
	default:
	}
}

// keep mends until Close.
func (m *Memory) keep(ctx context.Context) {
	defer close(m.kept)
	pause := firstPause
	retry := time.NewTimer(time.Hour)
	retry.Stop()
	defer retry.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-m.kick:
		case <-retry.C:
		}
		m.sweep()
		if err := m.establish(ctx); err != nil && ctx.Err() == nil {
			m.fail(err)
			retry.Reset(pause)
			pause = min(2*pause, m.o.Backoff)
			continue
		}
		pause = firstPause
	}
}

const firstPause = 20 * time.Millisecond

// sweep says goodbye on the queue pairs that failed, and closes them: nobody
// waits for a peer that may be dead.
func (m *Memory) sweep() {
	m.oldMu.Lock()
	old := m.old
	m.old = nil
	m.oldMu.Unlock()
	for _, qp := range old {
		m.wg.Go(func() {
			if err := m.hangUp(qp); err != nil {
				m.o.Log.Warn("close queue pair", "err", err)
			}
		})
	}
}

// fail tells those that wait why there is no connection. Who comes until the
// next attempt is told at once.
func (m *Memory) fail(err error) {
	if why := err.Error(); why != m.told {
		m.told = why
		m.o.Log.Warn("not connected", "target", m.o.Remote.String(), "err", err)
	}
	for _, l := range m.lanes {
		if _, up := l.load(); !up {
			l.abandon(err, err)
		}
	}
}

// establish connects every lane that is not.
func (m *Memory) establish(ctx context.Context) error {
	for fresh := 0; fresh < mostGrants; {
		s := m.session.Load()
		if s == nil {
			fresh++
			if err := m.begin(ctx); err != nil {
				return dialError(fmt.Errorf("connect to %s: %w", m.o.Remote, err))
			}
			continue
		}
		l := m.idle()
		if l == nil {
			m.told = ""
			return nil
		}
		qp, _, err := m.dial(ctx, s)
		switch {
		case errors.Is(err, errNewGrant):
			m.end()
		case err != nil:
			return dialError(fmt.Errorf("connect to %s: %w", m.o.Remote, err))
		default:
			m.connected(l, qp, s, nil)
		}
	}
	return fmt.Errorf("connect to %s: its grants end at once: %w", m.o.Remote, backdoor.ErrUnanswered)
}

// mostGrants bounds one attempt with a target that takes back what it gave.
const mostGrants = 3

// idle returns a lane without a connection.
func (m *Memory) idle() *lane {
	for _, l := range m.lanes {
		if _, up := l.load(); !up {
			return l
		}
	}
	return nil
}

// end drops the session. What waits on its lanes is left for the next one.
func (m *Memory) end() {
	m.session.Store(nil)
	for _, l := range m.lanes {
		l.lose(nil)
	}
}

// begin asks for a grant, over the first lane, and reads its region table before
// anything else is posted.
func (m *Memory) begin(ctx context.Context) error {
	m.end()
	qp, grant, err := m.dial(ctx, nil)
	if err != nil {
		return err
	}
	s := &session{grant: *grant}
	if s.root, err = backdoor.DecodeRoot(grant.Root.Encode()); err != nil {
		return errors.Join(err, m.hangUp(qp))
	}
	l := m.lanes[0]
	if s.table, err = m.readTable(ctx, l, qp, s); err != nil {
		if qp := l.abandon(err, nil); qp != nil {
			m.mend(qp)
		}
		return err
	}
	m.o.Takeover = false // once: two processes must not take from one another for ever
	m.o.Log.Info("connected", "target", m.o.Remote.String(), "grant", grant.Grant,
		"boot", backdoor.BootID(s.root.BootID).String(), "generation", s.root.Generation)
	m.session.Store(s)
	l.ready(s)
	return nil
}

// connected puts a queue pair into a lane, and notices when the peer ends it.
func (m *Memory) connected(l *lane, qp *verbs.QP, s *session, first *job) {
	l.connected(qp, s, first)
	if done := qp.Done(); done != nil {
		m.wg.Go(func() {
			<-done // also at our own Disconnect, so every one of these ends
			l.lose(qp)
		})
	}
}
