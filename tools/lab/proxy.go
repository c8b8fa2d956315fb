// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"encoding/json"
	"net"
	"sync"

	"lazystate/tools/lab/wire"
)

// proxy lets other processes use the owner's channel into the guest: QEMU
// serves one connection, and the guest knows one space of ids.
type proxy struct {
	ln   net.Listener
	to   *channel
	down func() // asks the owner to end the VM
}

func listenProxy(path string, to *channel, down func()) (*proxy, error) {
	ln, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	p := &proxy{ln: ln, to: to, down: down}
	go p.accept()
	return p, nil
}

func (p *proxy) accept() {
	for {
		conn, err := p.ln.Accept()
		if err != nil {
			return
		}
		go p.serve(conn)
	}
}

func (p *proxy) close() error { return p.ln.Close() }

// session is one client of the proxy: its ids and the guest's.
type session struct {
	p   *proxy
	w   *wire.Writer
	mu  sync.Mutex
	ids map[uint32]uint32 // client's -> guest's
}

func (p *proxy) serve(conn net.Conn) {
	defer conn.Close()
	s := &session{p: p, w: wire.NewWriter(conn), ids: map[uint32]uint32{}}
	defer s.cancelAll()
	gone := make(chan struct{})
	defer close(gone)
	go s.greet(gone)
	r := wire.NewReader(conn)
	for {
		f, err := r.Next()
		if err != nil {
			return
		}
		if f.Kind == wire.KindRequest {
			err = s.request(f)
		} else if id, ok := s.guestID(f.ID); ok {
			f.ID = id
			err = p.to.w.Write(f)
		}
		if err != nil {
			return
		}
	}
}

// greet passes on the Hello of this boot and of each later one.
func (s *session) greet(gone <-chan struct{}) {
	for {
		next := s.p.to.nextHello()
		if _, raw := s.p.to.lastHello(); raw != nil {
			s.w.Write(wire.Frame{Kind: wire.KindHello, Body: raw})
		}
		select {
		case <-next:
		case <-gone:
			return
		}
	}
}

func (s *session) guestID(id uint32) (uint32, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, ok := s.ids[id]
	return g, ok
}

func (s *session) request(f wire.Frame) error {
	var req wire.Request
	if json.Unmarshal(f.Body, &req) == nil && req.Op == wire.OpOwnDown {
		s.p.down()
		return s.w.WriteJSON(wire.KindReply, f.ID, wire.Reply{})
	}
	id, q, err := s.p.to.open()
	if err != nil {
		return s.w.WriteJSON(wire.KindReply, f.ID, wire.Reply{Error: err.Error()})
	}
	s.mu.Lock()
	s.ids[f.ID] = id
	s.mu.Unlock()
	go s.answer(f.ID, id, q)
	f.ID = id
	return s.p.to.w.Write(f)
}

// answer copies the guest's frames of one id to the client until the reply.
func (s *session) answer(client, guest uint32, q *frameQueue) {
	for {
		f, err := q.pop()
		last := err != nil || f.Kind == wire.KindReply
		if last { // before the client knows: what is answered is not cancelled
			s.forget(client, guest)
		}
		if err != nil {
			s.w.WriteJSON(wire.KindReply, client, wire.Reply{Error: err.Error()})
			return
		}
		f.ID = client
		if err := s.w.Write(f); last {
			return
		} else if err != nil {
			s.p.to.forget(guest) // the client is gone: cancelAll tells the guest
			return
		}
	}
}

func (s *session) forget(client, guest uint32) {
	s.p.to.forget(guest)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.ids, client)
}

// cancelAll tells the guest that a client is gone.
func (s *session) cancelAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range s.ids {
		s.p.to.w.Write(wire.Frame{Kind: wire.KindCancel, ID: id})
	}
}
