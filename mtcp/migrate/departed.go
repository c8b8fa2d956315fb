// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"net/netip"
	"time"

	"lazystate/mtcp/steer"
	"lazystate/mtcp/wire"
)

// departure is where a session has gone that its client took away from here.
type departure struct {
	cert  wire.Certificate
	to    netip.AddrPort // S2's end, as S2 sees it
	until time.Time      // it is told
	told  time.Time      // last
}

// departures are those by the flows that sessions had here.
type departures struct {
	all   map[steer.Flow]departure
	crowd crowd
}

// mostDepartures are told of at once: as many as there may be flows on hold.
const mostDepartures = mostHolds

// note makes room, if it must, among those that are told no more. One for which there is
// none is not told.
func (d *departures) note(f steer.Flow, v departure, now time.Time) {
	if d.all == nil {
		d.all, d.crowd = map[steer.Flow]departure{}, crowd{least: leastSessions, most: mostDepartures}
	}
	if d.crowd.due(len(d.all), now) {
		for f, v := range d.all {
			if now.After(v.until) {
				delete(d.all, f)
			}
		}
		d.crowd.looked(len(d.all), now)
	}
	if _, known := d.all[f]; known || len(d.all) < mostDepartures {
		d.all[f] = v
	}
}

// find is for a client that shows its certificate, and does not ask again before pause is over.
func (d *departures) find(f steer.Flow, cert wire.Certificate, now time.Time, pause time.Duration) (netip.AddrPort, bool) {
	v, ok := d.all[f]
	if !ok || !v.cert.Equal(cert) || now.After(v.until) || now.Sub(v.told) < pause {
		return netip.AddrPort{}, false
	}
	v.told = now
	d.all[f] = v
	return v.to, true
}

// departed is a session that is here no more, and never again by this move: its client
// may come back for it, because it hears nothing where it has gone.
func (m *Mover) departed(f steer.Flow, cert wire.Certificate, to netip.AddrPort) error {
	m.mu.Lock()
	now := time.Now()
	m.departures.note(f, departure{cert: cert, to: to, until: now.Add(m.cfg.Timing.Doubt)}, now)
	m.mu.Unlock()
	return m.steer.Hold(f, steer.Deaf, lingering)
}

// sought is a client's MIGRATE_WHERE. It is answered if the session has left for good, and
// where there is no other of its ends by now; whatever is in doubt here is not spoken of.
func (m *Mover) sought(e steer.Event, o wire.MigrateWhere) {
	m.mu.Lock()
	to, ok := m.departures.find(e.Flow, o.Cert, time.Now(), m.cfg.Timing.Retry)
	m.mu.Unlock()
	if !ok || m.lives(e.Flow) {
		return
	}
	// What its TCP has to say, now that it is back, is not for this server's.
	err := m.steer.Hold(e.Flow, steer.Deaf, lingering)
	seg := wire.Segment{Src: e.Flow.Local, Dst: e.Flow.Remote, Seq: e.Segment.Ack, Ack: e.Segment.Seq, Flags: wire.ACK, Window: 65535}
	if err == nil {
		seg.Options, err = wire.Append(nil, wire.MigrateAdvise{Reason: wire.ReasonElsewhere, Cert: o.Cert, Target: to})
	}
	if err == nil {
		err = m.sender.Send(seg)
	}
	if err != nil {
		m.log.Debug("say where a session is", "client", e.Flow.Remote, "err", err)
		return
	}
	m.Stats.sought.Add(1)
	m.mesh.log.Info("a client that has left asks where its session is", "client", e.Flow.Remote, "at", to)
}
