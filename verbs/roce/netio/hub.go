// SPDX-License-Identifier: Apache-2.0

package netio

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"sync"

	"golang.org/x/sys/unix"
)

// Hub is a network in memory. The zero value is ready.
type Hub struct {
	mu    sync.Mutex
	ports map[netip.AddrPort]*hubPort
}

// hubQueue is how many datagrams wait at a port before more are lost.
const hubQueue = 4096

// hubPort is a place at a Hub.
type hubPort struct {
	hub   *Hub
	local netip.AddrPort
	caps  Caps
	event int // eventfd, readable while queue has something

	mu    sync.Mutex
	queue []Datagram
	stats Stats
	shut  bool
}

// Port joins the hub at an address. trains is whether several packets may
// travel as one datagram.
func (h *Hub) Port(local netip.AddrPort, trains bool) (Port, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ports == nil {
		h.ports = map[netip.AddrPort]*hubPort{}
	}
	if h.ports[local] != nil {
		return nil, fmt.Errorf("join hub: %v is taken", local)
	}
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("join hub: %w", err)
	}
	p := &hubPort{hub: h, local: local, event: fd, caps: Caps{MaxPacket: maxUDP, TrainLen: 1, Exact: true, RecvBuffer: wantBuffer}}
	if trains {
		p.caps.TrainLen, p.caps.TrainBytes = trainPackets, maxUDP
	}
	h.ports[local] = p
	return p, nil
}

func (h *Hub) port(a netip.AddrPort) *hubPort {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.ports[a]
}

func (p *hubPort) Local() netip.AddrPort { return p.local }
func (p *hubPort) Caps() Caps            { return p.caps }
func (p *hubPort) FD() int               { return p.event }

func (p *hubPort) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stats
}

func (p *hubPort) Send(ds []Datagram) (int, error) {
	for i := range ds {
		to := p.hub.port(ds[i].Peer)
		ok := to != nil && to.deliver(p.local, &ds[i])
		p.mu.Lock()
		if ok {
			p.stats.sent(&ds[i])
		} else {
			p.stats.SendErrors++
		}
		p.mu.Unlock()
	}
	return len(ds), nil
}

// deliver queues copies of the packets, each with the ID that a kernel gives it.
func (p *hubPort) deliver(from netip.AddrPort, d *Datagram) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shut || len(p.queue) >= hubQueue {
		return false
	}
	id := uint16(0)
	for pkt := range d.Packets() {
		p.queue = append(p.queue, Datagram{Peer: from, Data: bytes.Clone(pkt), ID: id, Flags: flagDF})
		id++
	}
	setEvent(p.event)
	return true
}

const flagDF = 0x4000 // of the IPv4 header's fourth word

func (p *hubPort) Recv(ds []Datagram) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := copy(ds, p.queue)
	clear(p.queue[:n])
	p.queue = p.queue[n:]
	if len(p.queue) == 0 {
		p.queue = nil
		clearEvent(p.event)
	}
	for i := range n {
		p.stats.received(&ds[i])
	}
	return n, nil
}

func (p *hubPort) Close() error {
	p.hub.mu.Lock()
	delete(p.hub.ports, p.local)
	p.hub.mu.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shut = true
	return unix.Close(p.event)
}

func setEvent(fd int) {
	var one [8]byte
	binary.NativeEndian.PutUint64(one[:], 1)
	_, _ = unix.Write(fd, one[:]) // full is as good as set
}

func clearEvent(fd int) {
	var n [8]byte
	_, _ = unix.Read(fd, n[:]) // empty is as good as cleared
}
