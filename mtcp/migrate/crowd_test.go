// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"lazystate/internal/syncbuf"
	"lazystate/mtcp/party"
	"lazystate/mtcp/steer"
	"lazystate/mtcp/wire"
)

// However large a table gets, whoever adds one looks at few of the others, and what is
// over is found before there is twice as much of it as of what lives. Where no more fits,
// all that live are not looked at for each that comes and finds no place.
func TestCrowdIsLookedAtSeldom(t *testing.T) {
	const adds = 1 << 17
	for name, c := range map[string]crowd{"no end": {least: leastSessions}, "an end": {least: leastSessions, most: mostSessions}} {
		for _, lives := range []int{0, 1, 100, adds} { // of those that were added first
			n, looks, most, now := 0, 0, 0, time.Now()
			for range adds {
				if c.due(n, now) {
					looks += n
					n = min(n, lives)
					c.looked(n, now)
				}
				if c.most == 0 || n < c.most {
					n++
				}
				most = max(most, n)
				now = now.Add(time.Second / 4096)
			}
			if pause := int(adds / 4096 / crowdPause.Seconds()); looks > 3*adds+(pause+1)*c.most {
				t.Errorf("%s, %d live: %d are looked at for %d that come", name, lives, looks, adds)
			}
			if most > max(leastSessions, 2*lives)+1 {
				t.Errorf("%s, %d live: there were %d", name, lives, most)
			}
		}
	}
	full := crowd{least: leastSessions, most: mostSessions}
	now := time.Now()
	full.looked(mostSessions, now)
	if full.due(mostSessions, now.Add(crowdPause-1)) || !full.due(mostSessions, now.Add(crowdPause)) {
		t.Error("a full table is looked at too often, or never again")
	}
}

// An agent that knows of as many connections as it may says of the next one that it cannot
// move, and that connection is as it would be without an agent; it does so once, however
// many come. When others have ended the next one can move.
func TestTooManyConnections(t *testing.T) {
	var said syncbuf.Buffer
	a := NewAgent(nil, nil, party.Defaults, slog.New(slog.NewTextHandler(&said, nil)))
	flow := func(n int) steer.Flow {
		return steer.Flow{Local: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(n >> 16), byte(n >> 8)}), uint16(n&255+1))}
	}
	moving := new(clientMove) // those are not looked at
	for n := range mostSessions {
		a.sessions[flow(n)] = &clientSession{moving: moving}
	}
	for n := range 100 {
		a.offered(flow(mostSessions+n), wire.Offer{Parts: 1, Cert: wire.Certificate{1}})
	}
	if n := len(a.sessions); n != mostSessions {
		t.Errorf("%d are known, at most %d", n, mostSessions)
	}
	if n := strings.Count(said.String(), "there are too many that can"); n != 1 {
		t.Errorf("it is said %d times:\n%s", n, said.String())
	}
	delete(a.sessions, flow(0))
	if a.offered(flow(mostSessions), wire.Offer{Parts: 1, Cert: wire.Certificate{1}}); a.sessions[flow(mostSessions)] == nil {
		t.Error("there is room, and it cannot move")
	}
}
