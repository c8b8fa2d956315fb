// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"lazystate/dsm"
	"lazystate/dsm/logs"
	"lazystate/dsm/pager"
	"lazystate/dsm/wire"
)

// cluster is nodes in one process, each with a program in its own, and a network
// and disks that outlive them.
type cluster struct {
	t     *testing.T
	cfg   Config
	args  []string // the programs'
	mu    sync.Mutex
	ports []*port
	nodes []*node
	kills map[dsm.NodeID]uint64 // in the first life
}

// node is one life of a node.
type node struct {
	*Daemon
	disk    *memStore
	port    *port
	program *exec.Cmd
	out     *bytes.Buffer
	served  chan error
	died    chan bool // KillAt
	path    string    // of the program's socket
}

func testConfig(mode pager.Mode, nodes int) Config {
	return Config{
		Core: dsm.Config{Nodes: nodes, Pages: 32, PageSize: 4096, Locks: 8, Conds: 2, Shelves: true},
		Base: 0x320000000000, Mode: mode, Patience: time.Minute,
	}
}

func modes(t *testing.T, test func(*testing.T, pager.Mode)) {
	best, err := pager.Probe(-1)
	if err != nil {
		t.Fatal(err)
	}
	for m := range best + 1 {
		t.Run(m.String(), func(t *testing.T) { test(t, m) })
	}
}

// newCluster starts all nodes and their programs, which run TestProgram with args.
func newCluster(t *testing.T, cfg Config, args ...string) *cluster {
	return killedCluster(t, cfg, nil, args...)
}

// killedCluster has nodes end at an operation of their first life.
func killedCluster(t *testing.T, cfg Config, kills map[dsm.NodeID]uint64, args ...string) *cluster {
	c := &cluster{t: t, cfg: cfg, args: args, nodes: make([]*node, cfg.Core.Nodes), ports: make([]*port, cfg.Core.Nodes), kills: kills}
	for i := range c.nodes {
		c.ports[i] = newPort(c)
	}
	for i := range c.nodes {
		c.start(dsm.NodeID(i), &memStore{states: map[uint32]*stored{}})
	}
	t.Cleanup(c.stop)
	return c
}

// stop ends all that there is.
func (c *cluster) stop() {
	for i := range c.nodes {
		c.crash(dsm.NodeID(i))
	}
}

// start begins a life of a node.
func (c *cluster) start(i dsm.NodeID, disk *memStore) {
	c.t.Helper()
	cfg := c.cfg
	cfg.Core.Self = i
	cfg.Log = slog.New(slog.NewTextHandler(c.t.Output(), nil))
	if disk.inc == 0 {
		cfg.KillAt = c.kills[i]
	}
	d, err := New(cfg, disk)
	if err != nil {
		c.t.Fatal(err)
	}
	path := filepath.Join(c.t.TempDir(), "s")
	l, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: path, Net: "unixpacket"})
	if err != nil {
		c.t.Fatal(err)
	}
	n := &node{Daemon: d, disk: disk, out: &bytes.Buffer{}, served: make(chan error, 1), died: make(chan bool)}
	d.die = func(program int) {
		d.fail(errors.New("killed"))
		close(n.died)
	}
	n.port, n.path = c.plug(i, d), path
	d.Start(n.port)
	go func() { n.served <- d.Serve(context.Background(), l) }()
	n.program = exec.Command(os.Args[0], append([]string{"-test.run=^TestProgram$", "--"}, c.args...)...)
	n.program.Env = append(os.Environ(), "DSM_TEST_SOCKET="+path)
	n.program.Stdout, n.program.Stderr = n.out, n.out
	if err := n.program.Start(); err != nil {
		c.t.Fatal(err)
	}
	c.nodes[i] = n
}

// crash ends a node and its program, and what it has sent and not delivered is
// lost. It returns the disk.
func (c *cluster) crash(i dsm.NodeID) *memStore {
	n := c.nodes[i]
	if n == nil {
		return nil
	}
	c.nodes[i] = nil
	n.port.close()
	if err := n.Close(); err != nil {
		c.t.Error(err)
	}
	_ = n.program.Process.Kill()
	_ = n.program.Wait()
	return n.disk
}

// outputs waits for all programs and returns what they have said.
func (c *cluster) outputs() (out []string) {
	c.t.Helper()
	for i, n := range c.nodes {
		if err := n.program.Wait(); err != nil {
			c.t.Fatalf("program %d: %v", i, err)
		}
		if err := <-n.served; err != nil {
			c.t.Fatalf("node %d: %v", i, err)
		}
		out = append(out, n.out.String())
	}
	c.part()
	return out
}

// part has all nodes wait for each other's programs.
func (c *cluster) part() {
	c.t.Helper()
	errs := make(chan error, len(c.nodes))
	for _, n := range c.nodes {
		go func() { errs <- n.Part(context.Background()) }()
	}
	for range c.nodes {
		if err := <-errs; err != nil {
			c.t.Error(err)
		}
	}
}

// port is where a node is plugged into the network: a queue of what is on its way
// to it.
type port struct {
	c    *cluster
	mu   sync.Mutex
	more *sync.Cond
	q    [][]byte
	to   *Daemon
	end  bool

	flush sync.Mutex
	out   []outgoing // sent, and not flushed
	lies  map[dsm.Page]dsm.Found
	taken map[dsm.Page]bool // of what lies there

	missing string // nodes that are out of reach
}

type outgoing struct {
	to    dsm.NodeID
	bytes []byte
}

func newPort(c *cluster) *port {
	p := &port{c: c, lies: map[dsm.Page]dsm.Found{}, taken: map[dsm.Page]bool{}}
	p.more = sync.NewCond(&p.mu)
	return p
}

// plug gives a life of a node its port: what was on the way to another is lost.
func (c *cluster) plug(i dsm.NodeID, d *Daemon) *port {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.ports[i]
	if p.end {
		p = newPort(c)
		c.ports[i] = p
	}
	p.to = d
	go p.run()
	return p
}

// Send keeps it for Flush: what nobody flushes never comes.
func (p *port) Send(m *dsm.Message) {
	k := p.c.cfg.Core
	b, err := wire.AppendMessage(nil, m, k.Nodes, k.PageSize)
	if err != nil {
		panic(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.out = append(p.out, outgoing{m.To, b})
}

func (p *port) Flush() {
	p.flush.Lock() // or a later one overtakes
	defer p.flush.Unlock()
	p.mu.Lock()
	out := p.out
	if p.out = nil; p.end {
		out = nil
	}
	p.mu.Unlock()
	for _, o := range out {
		p.c.mu.Lock()
		to := p.c.ports[o.to]
		p.c.mu.Unlock()
		to.put(o.bytes)
	}
}

func (p *port) Shelve(e dsm.Shelve) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.taken[e.Page] = false
	p.lies[e.Page] = dsm.Found{Home: p.to.cfg.Core.Self, Incarnation: p.to.inc, Page: e.Page, V: e.V, Ordinal: e.Ordinal, Bytes: e.Bytes}
}

func (p *port) Taken(pages []dsm.Page) []dsm.Page {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.DeleteFunc(pages, func(page dsm.Page) bool { return !p.taken[page] })
}

// Look answers at once or, for every other page, later.
func (p *port) Look(e dsm.Look) (dsm.Found, bool) {
	f := p.look(e)
	if e.Page%2 == 0 {
		return f, true
	}
	go p.to.Found(f)
	return dsm.Found{}, false
}

func (p *port) look(e dsm.Look) dsm.Found {
	p.c.mu.Lock()
	of := p.c.ports[e.Home]
	p.c.mu.Unlock()
	of.mu.Lock()
	defer of.mu.Unlock()
	if f, ok := of.lies[e.Page]; ok && f.Incarnation == e.Incarnation {
		of.taken[e.Page] = true
		f.Bytes = bytes.Clone(f.Bytes)
		return f
	}
	return dsm.Found{Home: e.Home, Incarnation: e.Incarnation, Page: e.Page}
}

func (p *port) Missing() string { return p.missing }

func (p *port) put(b []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.q = append(p.q, b)
	p.more.Signal()
}

func (p *port) next() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.q) == 0 && !p.end {
		p.more.Wait()
	}
	if p.end {
		return nil
	}
	b := p.q[0]
	p.q = p.q[1:]
	return b
}

func (p *port) run() {
	k := p.c.cfg.Core
	for b := p.next(); b != nil; b = p.next() {
		m, err := wire.ParseMessage(b, k.Nodes, k.PageSize)
		if err != nil {
			panic(err)
		}
		p.to.Deliver(m)
	}
}

func (p *port) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.end = true
	p.more.Broadcast()
}

// memStore is a disk in memory. A checkpoint is on it as bytes.
type memStore struct {
	mu     sync.Mutex
	inc    uint32
	states map[uint32]*stored
	fails  error
	saves  int
}

type stored struct {
	state   *dsm.State
	private []byte
	gone    map[dsm.Page]bool
}

func (s *memStore) Begin() (uint32, *dsm.State, []byte, []logs.Kept, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inc++
	var st *dsm.State
	var private []byte
	var window []logs.Kept
	for _, number := range s.numbers() {
		k := s.states[number]
		kept := k.state.Kept()
		for p := range k.gone {
			delete(kept.Pages, p)
		}
		window, st, private = append(window, kept), k.state, k.private
	}
	return s.inc, st, private, window, nil
}

func (s *memStore) numbers() (n []uint32) {
	for number := range s.states {
		n = append(n, number)
	}
	slices.Sort(n)
	return n
}

func (s *memStore) Save(st *dsm.State, private []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fails != nil {
		return s.fails
	}
	s.saves++
	s.states[st.Number] = &stored{st, private, map[dsm.Page]bool{}}
	return nil
}

func (s *memStore) Page(number uint32, p dsm.Page) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := s.states[number]; k != nil {
		for _, pg := range k.state.Pages {
			if pg.Page == p && !k.gone[p] {
				return pg.Bytes, nil
			}
		}
	}
	return nil, fmt.Errorf("page %d of checkpoint %d is not there", p, number)
}

func (s *memStore) Discard(number uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.states, number)
}

func (s *memStore) DiscardPage(number uint32, p dsm.Page) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.states[number].gone[p] = true
}
