// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"lazystate/dsm"
	"lazystate/dsm/vtime"
	"lazystate/internal/netrig"
	"lazystate/tools/lab"
	"lazystate/verbs/verbstest"
)

var testCluster = dsm.Config{Nodes: 3, Pages: 8, PageSize: 4096, Locks: 4, Conds: 1, Shelves: true}

// carriers are what links are made of: the same tests are run over each. In a guest that
// is its SoftRoCE (TestOnGuest).
var carriers = []string{"tcp", "tls", "unix", "roce", "mem"}

const rxe = "rdma"

// each runs a test over every carrier, and over more.
func each(t *testing.T, f func(t *testing.T, r *rig), more ...string) {
	for _, c := range append(slices.Clone(carriers), more...) {
		t.Run(c, func(t *testing.T) { f(t, newRig(t, c)) })
	}
}

// shelves is true if nodes reach each other's.
func (r *rig) shelves() bool { return r.carrier == "unix" || r.rdma() }

// rdma is true for links over package verbs: RoCE on the loopback, or a network in
// memory that loses messages, whose addresses are not the loopback's, or a guest's device.
func (r *rig) rdma() bool {
	return strings.HasSuffix(r.carrier, "roce") || r.carrier == "mem" || r.carrier == rxe
}

// rig is some nodes of one run.
type rig struct {
	t       *testing.T
	carrier string
	cfg     dsm.Config
	key     [16]byte
	silence time.Duration
	most    int
	hosts   *netrig.Rig // of carriers "hosts" (TCP) and "hosts, roce": a network namespace a node
	net     uint32      // the third byte of their addresses

	mu    sync.Mutex
	where map[dsm.NodeID]string
}

// nets counts the networks of hosts: an RDMA device of an address is shared in a process
// until its last connection is closed, and that of an earlier test is in namespaces that
// are gone.
var nets atomic.Uint32

// ip is a host's address.
func (r *rig) ip(node dsm.NodeID) string { return fmt.Sprintf("10.9.%d.%d", r.net, node+1) }

func newRig(t *testing.T, carrier string) *rig {
	r := &rig{t: t, carrier: carrier, cfg: testCluster, key: [16]byte{1, 2, 3}, silence: time.Minute, where: map[dsm.NodeID]string{}}
	if !strings.HasPrefix(carrier, "hosts") {
		return r
	}
	if err := netrig.Usable(); err != nil {
		lab.Skip(t, err.Error())
	}
	r.net = nets.Add(1) % 256
	r.hosts = netrig.New(t, "n0", "n1", "n2")
	for i := range dsm.NodeID(3) {
		r.host(i).Addr(r.ip(i) + "/24")
	}
	return r
}

func (r *rig) host(node dsm.NodeID) *netrig.Host { return r.hosts.Host(fmt.Sprintf("n%d", node)) }

// end is a node's transport and what it has been told.
type end struct {
	*Transport
	r *rig

	mu       sync.Mutex
	told     *sync.Cond
	got      map[dsm.NodeID][]*dsm.Message
	up       map[dsm.NodeID]uint32 // incarnations announced last; one that is soon superseded may never be
	lost     []error
	nonsense []error
	deliver  func(*dsm.Message)
	find     func(dsm.Found)
	looks    []dsm.Found // that were answered later
}

func (e *end) Deliver(m *dsm.Message) {
	if e.deliver != nil {
		e.deliver(m)
	}
	e.note(func() { e.got[m.From] = append(e.got[m.From], m) })
}

func (e *end) Found(f dsm.Found) {
	if e.find != nil {
		e.find(f)
	}
	e.note(func() { e.looks = append(e.looks, f) })
}

func (e *end) Up(peer dsm.NodeID, inc uint32) { e.note(func() { e.up[peer] = inc }) }

func (e *end) Lost(peer dsm.NodeID, inc uint32, why error) {
	e.note(func() { e.lost = append(e.lost, fmt.Errorf("%v.%d: %w", peer, inc, why)) })
}

func (e *end) Nonsense(_ dsm.NodeID, why error) {
	e.note(func() { e.nonsense = append(e.nonsense, why) })
}

func (e *end) note(f func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	f()
	e.told.Broadcast()
}

// heard is what has come of a node so far.
func (e *end) heard(from dsm.NodeID) []*dsm.Message {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.got[from])
}

// learned reports whether others have told it what; the lock is held, as until does.
func (e *end) learned(what error) bool {
	return slices.ContainsFunc(e.nonsense, func(err error) bool { return errors.Is(err, what) })
}

// errors are those so far: &e.lost or &e.nonsense.
func (e *end) errors(of *[]error) []error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(*of)
}

// bound is how long a test waits for what must come.
const bound = 2 * time.Minute

// until waits for a condition of what was told.
func (e *end) until(what string, f func() bool) {
	e.r.t.Helper()
	late := false
	timer := time.AfterFunc(bound, func() { e.note(func() { late = true }) })
	defer timer.Stop()
	e.mu.Lock()
	defer e.mu.Unlock()
	for !f() {
		if late {
			e.r.t.Fatalf("%v: no %s; peers %+v, lost %v, nonsense %v", e.cfg.Cluster.Self, what, e.Peers(), e.lost, e.nonsense)
		}
		e.told.Wait()
	}
}

// listen opens a listener of the carrier.
func (r *rig) listen(node dsm.NodeID) net.Listener {
	r.t.Helper()
	if r.rdma() {
		return r.listenRDMA(node)
	}
	network, address := "tcp", "127.0.0.1:0"
	if r.carrier == "unix" {
		network, address = "unix", filepath.Join(r.t.TempDir(), "n")
	}
	on := func(f func() error) error { return f() }
	if r.hosts != nil {
		on, address = r.host(node).Try, r.ip(node)+":0"
	}
	var l net.Listener
	err := on(func() (err error) { l, err = net.Listen(network, address); return err })
	if err != nil {
		r.t.Fatal(err)
	}
	where := l.Addr().String()
	if network == "unix" {
		where = "unix:" + where
	}
	r.at(node, where)
	return l
}

func (r *rig) listenRDMA(node dsm.NodeID) net.Listener {
	r.t.Helper()
	at := "roce://" + verbstest.Loopback().String() + ":0"
	on := func(f func() error) error { return f() }
	switch {
	case r.hosts != nil:
		on, at = r.host(node).Try, "roce://"+r.ip(node)+":0"
	case r.carrier == rxe:
		at = rxe + "://" + guestAddr + ":0"
	case r.carrier == "mem":
		at = "mem://" + strings.ReplaceAll(r.t.Name(), "/", "-") + "/0.0.0.0:0?seed=5&loss=0.01&reorder=0.02"
	}
	var l *RDMAListener
	err := on(func() (err error) { l, err = ListenRDMA(r.t.Context(), at); return err })
	if err != nil {
		r.t.Fatal(err)
	}
	if r.carrier == rxe && l.Carrier() != "ibv://rxe0" {
		r.t.Errorf("in the guest links are over %s", l.Carrier())
	}
	r.at(node, l.Addr().String())
	return l
}

func (r *rig) at(node dsm.NodeID, where string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.where[node] = where
}

func (r *rig) address(node dsm.NodeID) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.where[node]
}

// config is a node's.
func (r *rig) config(node dsm.NodeID, inc uint32) Config {
	cfg := r.cfg
	cfg.Self = node
	c := Config{
		Cluster: cfg, Incarnation: inc, Key: r.key, Silence: r.silence, MostKept: r.most, everywhere: r.carrier == "tls",
		Address: func(node dsm.NodeID) (string, error) { return r.address(node), nil },
	}
	if r.hosts != nil {
		c.dials = func(ctx context.Context, network, address string) (c net.Conn, err error) {
			err = r.host(node).Try(func() error { c, err = new(net.Dialer).DialContext(ctx, network, address); return err })
			return c, err
		}
	}
	return c
}

// start begins an incarnation of a node.
func (r *rig) start(node dsm.NodeID, inc uint32, set ...func(*end, *Config)) *end {
	r.t.Helper()
	e := &end{r: r, got: map[dsm.NodeID][]*dsm.Message{}, up: map[dsm.NodeID]uint32{}}
	e.told = sync.NewCond(&e.mu)
	cfg := r.config(node, inc)
	cfg.Listeners = []net.Listener{r.listen(node)}
	for _, f := range set {
		f(e, &cfg)
	}
	t, err := New(cfg, e)
	if err != nil {
		r.t.Fatal(err)
	}
	e.Transport = t
	r.t.Cleanup(func() { e.kill() })
	return e
}

// all starts every node and waits until they are connected.
func (r *rig) all() []*end {
	r.t.Helper()
	var ends []*end
	for i := range r.cfg.Nodes {
		ends = append(ends, r.start(dsm.NodeID(i), 1))
	}
	for _, e := range ends {
		e.ready()
	}
	return ends
}

func (e *end) ready() {
	e.r.t.Helper()
	ctx, stop := context.WithTimeout(context.Background(), bound)
	defer stop()
	if err := e.Ready(ctx); err != nil {
		e.r.t.Fatal(err)
	}
}

// kill ends a node as its death does: without a word.
func (e *end) kill() {
	e.closed.Store(true)
	for _, l := range e.cfg.Listeners {
		l.Close()
	}
	e.stop()
	for _, l := range e.peers() {
		l.mu.Lock()
		l.drop(errors.New("killed"))
		l.mu.Unlock()
	}
	e.tasks.Wait()
	if err := e.shelf.Close(); err != nil {
		e.r.t.Error(err)
	}
}

// cut breaks the connection with a peer.
func (e *end) cut(peer dsm.NodeID) {
	l := e.links[peer]
	l.mu.Lock()
	defer l.mu.Unlock()
	l.drop(errors.New("cut"))
}

// message is one with a number to be told by.
func (e *end) message(to dsm.NodeID, toInc uint32, seq uint64) *dsm.Message {
	return &dsm.Message{
		From: e.cfg.Cluster.Self, To: to, FromInc: e.cfg.Incarnation, ToInc: toInc, Seq: seq, Ordinal: seq,
		Body: dsm.LockReq{Lock: 1, Ordinal: seq * 3, T: vtime.New(e.cfg.Cluster.Nodes)},
	}
}

// page is a message with a page in it.
func (e *end) page(to dsm.NodeID, seq uint64) *dsm.Message {
	m := e.message(to, 1, seq)
	m.Body = dsm.PageRep{Page: 3, V: vtime.New(e.cfg.Cluster.Nodes), Bytes: make([]byte, e.cfg.Cluster.PageSize)}
	return m
}

// inOrder is true once so many have come from a node, each once and in order.
func (e *end) inOrder(from dsm.NodeID, n int) func() bool {
	return func() bool {
		for i, m := range e.got[from] {
			if m.Seq != uint64(i+1) {
				e.r.t.Errorf("message %d of %v comes at place %d", m.Seq, from, i)
			}
		}
		return len(e.got[from]) >= n
	}
}
