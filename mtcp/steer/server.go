// SPDX-License-Identifier: Apache-2.0

package steer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"lazystate/mtcp/wire"
)

// ServerConfig says where a server's side works.
type ServerConfig struct {
	Interfaces []string // towards the clients
	Hook       Hook
	// Pin is a folder of a BPF file system, private to this server: what is on hold
	// stays so when its process ends, and the next one finds it there. "" is none.
	Pin   string
	Holds int // at most; 0: 4096
	// Gate says that it holds flows and does nothing else, beside another Server that
	// the interfaces may have.
	Gate bool
}

// Service is a listener whose sessions may move. What carries an option of M-TCP
// to it is told and TCP does not see it, but a SYN only where it Takes.
type Service struct {
	Listen netip.AddrPort // an unspecified address is any
	Takes  bool           // sessions may come here: MIGRATE_REQUEST is the agent's
	Offers bool           // sessions may leave: SYN+ACKs carry an offer
	Key    wire.Key       // of the offers' certificates
	// Servers are those that cooperate. The first fits on the SYN+ACK if it is of
	// IPv4; Parts says how many offers there are in all.
	Servers []netip.AddrPort
}

// perOption is how many servers an OFFER of its own has room for.
func perOption(v6 bool) int {
	if v6 {
		return 1
	}
	return 4
}

// Parts is into how many offers the servers of one family fall: the SYN+ACK's,
// and those that follow on ACKs (Rest).
func (s Service) Parts(v6 bool) int {
	rest := len(s.rest(v6))
	return 1 + (rest+perOption(v6)-1)/perOption(v6)
}

// rest are the servers that the SYN+ACK has no room for.
func (s Service) rest(v6 bool) []netip.AddrPort {
	var all []netip.AddrPort
	for _, a := range s.Servers {
		if a.Addr().Unmap().Is6() == v6 {
			all = append(all, a)
		}
	}
	if !v6 && len(all) > 0 {
		all = all[1:]
	}
	return all
}

// Rest returns the offers that follow the SYN+ACK's.
func (s Service) Rest(v6 bool, cert wire.Certificate) []wire.Offer {
	var out []wire.Offer
	rest, parts := s.rest(v6), uint8(s.Parts(v6))
	for n := perOption(v6); len(rest) > 0; rest = rest[min(n, len(rest)):] {
		out = append(out, wire.Offer{Part: uint8(len(out) + 1), Parts: parts, Cert: cert, Servers: rest[:min(n, len(rest))]})
	}
	return out
}

// What a hold does.
type What uint32

// The parts of it, as in bpf/steer.h.
const (
	DropIn  What = 1 << iota // nothing of the flow reaches TCP
	DropOut                  // nothing that TCP has to say leaves; options of M-TCP do
	Tell                     // what comes is told

	// Early is the new server's before its socket is there: neither a RST for
	// what comes nor one for what the handshake says.
	Early = DropIn | DropOut
	// Deaf is the old server's until MOVED: its socket neither hears nor speaks,
	// so its repetitions do not use up what the client answers (§2.5.2).
	Deaf = DropIn | DropOut
)

// Server is a server's side. Its methods may be called by several goroutines.
type Server struct {
	*source
	loader   *loader
	hooks    *hooks
	query    *ebpf.Program
	holds    *ebpf.Map
	services *ebpf.Map
	counters *ebpf.Map

	mu    sync.Mutex // a hold that is renewed is not swept away as over
	swept time.Time
}

// OpenServer loads the programs and attaches them in the network namespace of the
// calling thread.
func OpenServer(cfg ServerConfig) (*Server, error) {
	n := cfg.Holds
	if n == 0 {
		n = defaultMax
	}
	l, err := newLoader(cfg.Pin, map[string]uint32{bpfMapHolds: uint32(n)}, bpfProgSteerServerIn, bpfProgSteerServerOut, bpfProgSteerQuery)
	if err != nil {
		return nil, err
	}
	h, err := newHooks(cfg.Hook, cfg.Pin)
	if err == nil {
		if cfg.Gate {
			h.priority = gatePriority
		}
		err = l.attachTo(h, cfg.Interfaces, bpfProgSteerServerIn, bpfProgSteerServerOut)
	}
	if err != nil {
		l.close()
		return nil, err
	}
	s, err := newSource(l.maps[bpfMapEvents])
	if err != nil {
		return nil, errors.Join(err, h.close())
	}
	return &Server{
		source: s, loader: l, hooks: h,
		query: l.program(bpfProgSteerQuery), holds: l.maps[bpfMapHolds], services: l.maps[bpfMapServices], counters: l.maps[bpfMapCounters],
	}, nil
}

// Serve makes a listener known, or changes it.
func (s *Server) Serve(v Service) error {
	v6 := v.Listen.Addr().Unmap().Is6() && !v.Listen.Addr().IsUnspecified()
	if v.Parts(false) > 8 || v.Parts(true) > 8 {
		return fmt.Errorf("service %s: %d cooperating servers are more than offers can tell", v.Listen, len(v.Servers))
	}
	b := bpfService{Key: [2]uint64{binary.LittleEndian.Uint64(v.Key[:]), binary.LittleEndian.Uint64(v.Key[8:])}}
	b.PartsV4, b.PartsV6 = uint8(v.Parts(false)), uint8(v.Parts(true))
	for _, a := range v.Servers {
		if !v6 && a.Addr().Unmap().Is4() {
			b.Server = endpointOf(a)
			break
		}
	}
	if v.Offers {
		b.Flags |= offers
	}
	if v.Takes {
		b.Flags |= takes
	}
	if err := s.services.Put(endpointOf(v.Listen), b); err != nil {
		return fmt.Errorf("service %s: %w", v.Listen, err)
	}
	return nil
}

// Flags of a service, as in bpf/steer.h.
const (
	offers = 1 << iota
	takes
)

// Hold puts a flow on hold, for a time (0 is until Release). Local is the
// server's end.
func (s *Server) Hold(f Flow, what What, limit time.Duration) error {
	if err := f.valid(); err != nil {
		return err
	}
	h := bpfHold{What: uint32(what)}
	if limit > 0 {
		h.Until = now() + uint64(limit)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.holds.Put(f.bpf(), h)
	if errors.Is(err, unix.E2BIG) && time.Since(s.swept) > sweepPause {
		if err = s.sweep(); err == nil {
			err = s.holds.Put(f.bpf(), h)
		}
	}
	if err != nil {
		return fmt.Errorf("hold %s: %w", f, full(err))
	}
	return nil
}

// Release ends a hold; one that is not there is no error.
func (s *Server) Release(f Flow) error { return remove(s.holds, f) }

// sweepPause is between two looks at a table that is full: each is at all of it.
const sweepPause = time.Second

// sweep removes holds whose time is over, which do nothing any more but take room;
// mu is held.
func (s *Server) sweep() error {
	s.swept = time.Now()
	_, old, err := s.all()
	for _, f := range old {
		err = errors.Join(err, s.Release(f))
	}
	return err
}

// all are the flows on hold, and those whose time is over.
func (s *Server) all() (held, over []Flow, err error) {
	var f bpfFlow
	var h bpfHold
	it := s.holds.Iterate()
	for it.Next(&f, &h) {
		if h.Until != 0 && now() >= h.Until {
			over = append(over, flowOf(f))
		} else {
			held = append(held, flowOf(f))
		}
	}
	return held, over, it.Err()
}

// Query returns the numbers of a connection of this host; Local is its end.
func (s *Server) Query(f Flow) (Numbers, error) { return query(s.query, f) }

// Hook says which hook it came to be.
func (s *Server) Hook() Hook { return s.hooks.hook }

// Stats counts what the programs have done.
func (s *Server) Stats() (Stats, error) { return readStats(s.counters) }

// Close detaches the programs. With Pin they stay for the next OpenServer if anything is
// on hold, and nothing is left if not.
func (s *Server) Close() error {
	end := s.hooks.close
	if s.loader.pin != "" {
		if held, _, err := s.all(); err == nil && len(held) == 0 {
			end = s.remove
		}
	}
	err := errors.Join(s.close(), end())
	s.loader.close()
	return err
}

// remove takes away what is pinned.
func (s *Server) remove() error { return errors.Join(s.hooks.remove(), s.loader.unpin()) }
