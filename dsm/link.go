// SPDX-License-Identifier: Apache-2.0

package dsm

import (
	"slices"

	"lazystate/dsm/vtime"
)

// send addresses a message to the incarnation that is known. To itself a node
// speaks without one.
func (n *Node) send(to NodeID, b Body) {
	if to == n.cfg.Self {
		n.loop = append(n.loop, b)
		return
	}
	p := &n.peers[to]
	p.sendSeq++
	n.do(Send{&Message{
		From: n.cfg.Self, To: to, FromInc: n.inc, ToInc: p.inc,
		Seq: p.sendSeq, Ordinal: n.ordinal, News: n.news(to), Body: b,
	}})
}

// deliver brings messages into order, once each, and drops those of or to an
// incarnation that is gone.
func (n *Node) deliver(m *Message) {
	if int(m.From) >= n.cfg.Nodes || m.From == n.cfg.Self || m.To != n.cfg.Self || m.Body == nil {
		n.ignore(m.From, "a %T from %v to %v", m.Body, m.From, m.To)
		return
	}
	p := &n.peers[m.From]
	if m.FromInc < p.inc || m.ToInc != n.inc && !isRecover(m) {
		return
	}
	if m.FromInc > p.inc && !n.greet(m) {
		return
	}
	if m.Seq <= p.recvSeq {
		return
	}
	if m.Seq > p.recvSeq+1 {
		p.early[m.Seq] = m
		return
	}
	for ; m != nil && n.failed == nil; m = p.early[p.recvSeq+1] {
		delete(p.early, m.Seq)
		p.recvSeq = m.Seq
		n.hear(m)
	}
}

// greet meets an incarnation that it did not know. That one's first word is
// Recover, or the answer to this node's own; what overtook it waits.
func (n *Node) greet(m *Message) bool {
	p := &n.peers[m.From]
	switch {
	case answersRecover(m) && n.rec != nil:
		p.inc = m.FromInc
		return true
	case !isRecover(m):
		n.deferred = append(n.deferred, m)
		return false
	case !n.mayRecover(m):
		return false
	}
	*p = peer{inc: m.FromInc, ckp: p.ckp, bound: p.bound, bounds: p.bounds, ordinal: p.ordinal}
	p.forget()
	return true
}

// hear takes a message whose turn it is.
func (n *Node) hear(m *Message) {
	if err := m.check(n.cfg); err != nil {
		n.ignore(m.From, "%T: %v", m.Body, err)
		return
	}
	p := &n.peers[m.From]
	p.ordinal = max(p.ordinal, m.Ordinal)
	if m.News != nil {
		n.learn(m.From, *m.News)
	}
	if n.rec != nil && !ofRecovery(m.Body) {
		n.rec.queue = append(n.rec.queue, m)
		return
	}
	m.Body.handle(n, m.From)
	n.turn()
	if isRecover(m) || answersRecover(m) || isRecovered(m) {
		n.hearDeferred()
	}
}

// hearDeferred looks again at what came too early.
func (n *Node) hearDeferred() {
	again := n.deferred
	n.deferred = nil
	for _, m := range again {
		n.deliver(m)
	}
}

// forget makes a peer one that has been told nothing.
func (p *peer) forget() {
	p.sendSeq, p.recvSeq = 0, 0
	p.early, p.told, p.toldTurn, p.toldPages = map[uint64]*Message{}, News{}, 0, map[Page]vtime.Interval{}
}

func isRecover(m *Message) bool { _, ok := m.Body.(Recover); return ok }

func answersRecover(m *Message) bool {
	switch m.Body.(type) {
	case RecoverAck, Refused:
		return true
	}
	return false
}

func isRecovered(m *Message) bool { _, ok := m.Body.(Recovered); return ok }

// news is what a peer has not been told yet, or nil.
func (n *Node) news(to NodeID) *News {
	p := &n.peers[to]
	news := News{Ckp: n.stamp, Bound: n.window.Bound()[to]}
	if n.cfg.PerPage {
		news.Bound, news.Pages = 0, n.pageBounds(to)
	}
	if news.Ckp.Number == p.told.Ckp.Number && news.Bound == p.told.Bound && len(news.Pages) == 0 {
		return nil
	}
	p.told = News{Ckp: news.Ckp, Bound: news.Bound}
	n.count.News++
	n.count.NewsBytes += uint64(news.Size())
	news.Ckp.T = news.Ckp.T.Clone()
	return &news
}

// learn takes what only rises.
func (n *Node) learn(from NodeID, news News) {
	p := &n.peers[from]
	if news.Ckp.Number >= p.ckp.Number {
		p.ckp = news.Ckp
	}
	p.bound = max(p.bound, news.Bound)
	for _, b := range news.Pages {
		p.bounds[b.Page] = max(p.bounds[b.Page], b.Bound)
	}
}

// others are all nodes but this one.
func (n *Node) others() []NodeID {
	all := make([]NodeID, 0, n.cfg.Nodes)
	for i := range n.cfg.Nodes {
		all = append(all, NodeID(i))
	}
	return slices.DeleteFunc(all, func(i NodeID) bool { return i == n.cfg.Self })
}
