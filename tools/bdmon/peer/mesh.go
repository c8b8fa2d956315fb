// SPDX-License-Identifier: Apache-2.0

package peer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"lazystate/internal/identity"
	"lazystate/internal/noise"
	"lazystate/sensorbox/fleet"
)

// protocol is what both ends must mean.
const protocol = "lazystate-fleet/1"

// Peer is another monitor.
type Peer struct {
	Name, Address string
	Key           identity.PublicKey
}

// Mesh is a monitor's connections to all others.
type Mesh struct {
	Identity *identity.Identity
	Self     string
	Listen   string
	Peers    []Peer
	Beat     time.Duration // between the reports of a peer: silence of several ends its connection
	Heard    func(conn uint64, r *fleet.Report)
	Log      *slog.Logger

	listener net.Listener
	ctx      context.Context
	stop     context.CancelFunc
	tasks    sync.WaitGroup
	dialers  []*dialer
	conns    atomic.Uint64
	noise    *slog.Logger

	mu      sync.Mutex
	talking map[string]net.Conn // by peer: the newest connection from it
}

// Start listens, and dials every peer until Close.
func (m *Mesh) Start() error {
	l, err := net.Listen("tcp", m.Listen)
	if err != nil {
		return fmt.Errorf("listen for other monitors: %w", err)
	}
	m.listener, m.talking, m.noise = l, map[string]net.Conn{}, slog.New(noise.New(m.Log.Handler(), 1))
	m.ctx, m.stop = context.WithCancel(context.Background())
	m.tasks.Go(m.accept)
	for _, p := range m.Peers {
		d := &dialer{m: m, peer: p, news: make(chan *fleet.Report, 1)}
		m.dialers = append(m.dialers, d)
		m.tasks.Go(d.run)
	}
	m.Log.Info("listening for other monitors", "addr", l.Addr().String())
	return nil
}

// Addr is where it listens.
func (m *Mesh) Addr() net.Addr { return m.listener.Addr() }

// Tell sends a report to every peer that is connected. It never waits; one that
// has not been sent yet is replaced.
func (m *Mesh) Tell(r *fleet.Report) {
	for _, d := range m.dialers {
		select {
		case <-d.news:
		default:
		}
		select {
		case d.news <- r:
		default: // Tell is called by one goroutine; only d takes out
		}
	}
}

// lastWords is how long Close waits for reports under way.
const lastWords = time.Second

// Close sends what was told last, and ends every connection.
func (m *Mesh) Close() error {
	for end := time.Now().Add(lastWords); time.Now().Before(end) && !m.silent(); {
		time.Sleep(time.Millisecond)
	}
	m.stop()
	err := m.listener.Close()
	m.tasks.Wait()
	return err
}

func (m *Mesh) silent() bool {
	for _, d := range m.dialers {
		if d.connected.Load() && (len(d.news) > 0 || d.writing.Load()) {
			return false
		}
	}
	return true
}

// complain logs the same about the same peer at most once a minute: who can
// reach the port must not fill the disk.
func (m *Mesh) complain(about string, err error) {
	if m.ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
		return
	}
	m.noise.With("monitor", about).Warn("control connection", "err", err)
}

// byKey finds whose key it is.
func (m *Mesh) byKey(k identity.PublicKey) (Peer, bool) {
	for _, p := range m.Peers {
		if p.Key == k {
			return p, true
		}
	}
	return Peer{}, false
}
