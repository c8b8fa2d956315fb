// SPDX-License-Identifier: Apache-2.0

package calltest

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"lazystate/backdoor/uapi"
	"lazystate/dsm/call"
	"lazystate/internal/memfd"
)

// Config says what programs find. Zero fields have defaults.
type Config struct {
	Nodes        int // 1
	Pages        int // 300
	Locks, Conds int // 64, 4
	Base         uint64
	From         Checkpoint // that every node goes on from; zero: from the beginning
	// Answer is asked before a call is served. What it returns is the answer, if it
	// is not nil.
	Answer func(node int, c call.Call) *Answer
	// Alone has operations on locks done without calls. It is for one node.
	Alone bool
}

func (c Config) withDefaults() Config {
	for _, f := range []struct {
		field *int
		value int
	}{{&c.Nodes, 1}, {&c.Pages, 300}, {&c.Locks, 64}, {&c.Conds, 4}} {
		if *f.field == 0 {
			*f.field = f.value
		}
	}
	if c.Base == 0 {
		c.Base = 0x310000000000
	}
	return c
}

// Checkpoint is what a program goes on from.
type Checkpoint struct {
	Private []byte
	Memory  []byte // what is shared; nil: zeros
	Owner   []int  // by lock: 1 + the node that has it; nil: nobody
}

// Answer is a daemon's to a call.
type Answer struct {
	Cause  uint32
	Flags  call.Flags
	Why    string
	Served bool // the call is carried out before
}

// Cluster is the daemons of all nodes.
type Cluster struct {
	Config
	region int
	over   sync.WaitGroup
	nodes  []*node

	mu       sync.Mutex
	changed  sync.Cond // locks, barriers, sleepers, err
	owner    []int     // of locks: node + 1
	arrived  map[uint64]int
	round    int
	sleepers [][]*bool // on conditions: set when they are woken
	err      error
}

type node struct {
	id     int
	socket string
	listen *net.UnixListener
	server *call.Server
	calls  []call.Call
	alone  []call.Op
	saved  Checkpoint
}

// Start has daemons listen until the test is over.
func Start(t testing.TB, cfg Config) *Cluster {
	t.Helper()
	cfg = cfg.withDefaults()
	region, err := memfd.Sealed("region", int64(cfg.Pages)*4096)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := unix.Pwrite(region, cfg.From.Memory, 0); err != nil {
		t.Fatal(err)
	}
	c := &Cluster{Config: cfg, region: region, owner: make([]int, cfg.Locks+1), arrived: map[uint64]int{}, sleepers: make([][]*bool, cfg.Conds)}
	copy(c.owner, cfg.From.Owner)
	c.changed.L = &c.mu
	for id := range cfg.Nodes {
		n := &node{id: id, socket: filepath.Join(t.TempDir(), "s")}
		if n.listen, err = net.ListenUnix("unixpacket", &net.UnixAddr{Name: n.socket, Net: "unixpacket"}); err != nil {
			t.Fatal(err)
		}
		c.nodes = append(c.nodes, n)
		c.over.Go(func() { c.end(n, c.run(n)) })
	}
	t.Cleanup(func() {
		for _, n := range c.nodes {
			n.listen.Close()
		}
		c.over.Wait()
		unix.Close(region)
	})
	return c
}

// Socket is where a node's daemon listens.
func (c *Cluster) Socket(id int) string { return c.nodes[id].socket }

// Wait waits until all programs are gone, and returns what was wrong.
func (c *Cluster) Wait() error {
	c.over.Wait()
	return c.err
}

// Calls are a node's, in order, after Wait.
func (c *Cluster) Calls(id int) []call.Call { return c.nodes[id].calls }

// WithoutCall are the operations that a node did without a call, after Wait.
func (c *Cluster) WithoutCall(id int) []call.Op { return c.nodes[id].alone }

// Saved is a node's last checkpoint, after Wait.
func (c *Cluster) Saved(id int) Checkpoint { return c.nodes[id].saved }

var errGone = errors.New("its program is gone in the midst of it")

// end fails the others, that would wait for this node.
func (c *Cluster) end(n *node, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil && c.err == nil {
		c.err = fmt.Errorf("node %d: %w", n.id, err)
	}
	c.changed.Broadcast()
}

func (c *Cluster) run(n *node) error {
	conn, err := n.listen.AcceptUnix()
	if err != nil {
		return nil // nobody came
	}
	w := uapi.DsmWelcome{Base: c.Base, Bytes: uint64(c.Pages) * 4096, PageSize: 4096, Node: uint32(n.id), Nodes: uint32(c.Nodes),
		Incarnation: 1, Locks: uint32(c.Locks), Conds: uint32(c.Conds)}
	if c.From.Private != nil {
		w.Flags = uapi.DsmRestored
	}
	s, a, err := call.Accept(conn, call.Offer{Welcome: w, Region: c.region, Device: -1, Private: c.From.Private})
	if err != nil {
		return err
	}
	n.server = s
	unix.Close(a.Uffd)
	unix.Close(a.Pagemap)
	// Before the program runs, or its first operation may be a call.
	if err := c.open(n); err != nil {
		return err
	}
	if err := s.Start(nil); err != nil {
		return err
	}
	return errors.Join(c.attend(n), s.Close())
}

// attend answers calls until the program is gone.
func (c *Cluster) attend(n *node) error {
	gone, ended := make(chan error, 1), false
	go func() { gone <- n.server.Gone() }()
	for {
		if call, ok := n.server.Next(); ok {
			c.answer(n, call)
			ended = call.Kind == uapi.DsmEnd
		}
		select {
		case err := <-gone:
			if err == nil && !ended {
				err = errGone
			}
			return err
		default:
		}
	}
}

// open lets a node do operations alone, which are taken at its next call.
func (c *Cluster) open(n *node) error {
	done, err := n.server.Shut()
	n.alone = append(n.alone, done...)
	if err != nil || !c.Alone {
		return err
	}
	for lock := range c.owner {
		n.server.Token(uint32(lock), true)
	}
	n.server.Open()
	return nil
}

func (c *Cluster) answer(n *node, q call.Call) {
	n.calls = append(n.calls, q)
	if err := c.open(n); err != nil {
		n.server.Answer(uapi.DsmRefused, 0, err.Error())
		return
	}
	a := &Answer{Served: true}
	if c.Answer != nil {
		if special := c.Answer(n.id, q); special != nil {
			a = special
		}
	}
	if a.Served {
		if err := c.serve(n, q); err != nil {
			n.server.Answer(uapi.DsmRefused, 0, err.Error())
			return
		}
	}
	n.server.Answer(a.Cause, a.Flags, a.Why)
}
