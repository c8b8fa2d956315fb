// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"errors"
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

// departures are those by the flows that sessions had here. They outlive the daemon: a
// client asks the next one, too.
type departures struct {
	records
	all   map[steer.Flow]departure
	crowd crowd
}

// mostDepartures are told of at once: as many as there may be flows on hold.
const mostDepartures = mostHolds

// departureLen is of one in the file: a flow, where it went, certificate, time.
const departureLen = 3*addrLen + wire.CertLen + 8

func (v departure) append(b []byte, f steer.Flow) []byte {
	b = appendEnd(appendEnd(appendEnd(b, f.Local), f.Remote), v.to)
	return le.AppendUint64(append(b, v.cert[:]...), uint64(v.until.UnixNano()))
}

func parseDeparture(b []byte) (steer.Flow, departure) {
	rest := b[3*addrLen:]
	return steer.Flow{Local: parseEnd(b), Remote: parseEnd(b[addrLen:])},
		departure{to: parseEnd(b[2*addrLen:]), cert: wire.Certificate(rest), until: time.Unix(0, int64(le.Uint64(rest[wire.CertLen:])))}
}

// openDepartures knows what earlier daemons would tell; none is told for longer than so
// long from now, whatever became of the clock.
func openDepartures(path string, now time.Time, longest time.Duration) (d departures, err error) {
	d = departures{all: map[steer.Flow]departure{}, crowd: crowd{least: leastSessions, most: mostDepartures}}
	d.records, err = openRecords(path, departureLen, func(b []byte) {
		f, v := parseDeparture(b)
		if v.until.Before(now) {
			return
		}
		if last := now.Add(longest); v.until.After(last) {
			v.until = last
		}
		d.all[f] = v
	})
	if err == nil {
		err = d.rewrite(d.bytes())
	}
	return d, err
}

// bytes are all of them, as the file has them.
func (d *departures) bytes() (b []byte) {
	for f, v := range d.all {
		b = v.append(b, f)
	}
	return b
}

// note makes room, if it must, among those that are told no more. One for which there is
// none is not told.
func (d *departures) note(f steer.Flow, v departure, now time.Time) error {
	if d.crowd.due(len(d.all), now) {
		for f, v := range d.all {
			if now.After(v.until) {
				delete(d.all, f)
			}
		}
		d.crowd.looked(len(d.all), now)
	}
	if _, known := d.all[f]; !known && len(d.all) >= mostDepartures {
		return nil
	}
	d.all[f] = v
	if d.grown(departureLen, 2*len(d.all)+leastSessions) {
		return d.rewrite(d.bytes())
	}
	return d.add(v.append(nil, f))
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
	err := m.departures.note(f, departure{cert: cert, to: to, until: now.Add(m.cfg.Timing.Doubt)}, now)
	m.mu.Unlock()
	return errors.Join(err, m.steer.Hold(f, steer.Deaf, lingering))
}

// deafen answers by silence what comes of sessions that have left, as the daemon before
// this one did: what that held back went with it. A flow that is another connection's by
// now is let be.
func (m *Mover) deafen() {
	for f := range m.departures.all {
		if m.lives(f) {
			continue
		}
		if err := m.steer.Hold(f, steer.Deaf, lingering); err != nil {
			m.log.Warn("clients whose sessions have left are not answered by silence", "client", f.Remote, "err", err)
			return
		}
	}
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
