// SPDX-License-Identifier: Apache-2.0

package client

import (
	"errors"
	"fmt"
	"sync"
	"unsafe"

	"lazystate/backdoor/uapi"
	"lazystate/dsm/call"
)

// LocalConfig says how a program runs in one process. Zero fields have defaults.
type LocalConfig struct {
	Nodes        int // 1
	Bytes        int // of shared memory: 16 MiB
	PageSize     int // 4096
	Locks, Conds int // 4096, 64
	// Restart is asked before each step of each node but the first. If it says so
	// the program begins anew there, with the private state that it registered and
	// nothing else, as after a loss.
	Restart func(node, step int) bool
}

func (c LocalConfig) withDefaults() LocalConfig {
	for _, f := range []struct {
		field *int
		value int
	}{{&c.Nodes, 1}, {&c.Bytes, 16 << 20}, {&c.PageSize, 4096}, {&c.Locks, 4096}, {&c.Conds, 64}} {
		if *f.field == 0 {
			*f.field = f.value
		}
	}
	return c
}

// Local runs a program on nodes that are goroutines of this process and share
// its memory, for tests: what a program does wrong shows here first. The race
// detector sees what nodes share without a lock between them. It returns the
// first node's error that others did not fall over.
func Local(cfg LocalConfig, program func(*Node) error) error {
	cfg = cfg.withDefaults()
	w := newWorld(cfg)
	var all sync.WaitGroup
	for id := range cfg.Nodes {
		all.Go(func() { w.end(id, w.live(id, program)) })
	}
	all.Wait()
	return w.err
}

// world is what the nodes of a Local share.
type world struct {
	LocalConfig
	region []byte
	locks  []chan struct{} // full while a node has it
	dead   chan struct{}   // closed when a node failed

	mu       sync.Mutex
	err      error
	ended    int
	arrived  int
	open     chan struct{} // closed when all have arrived
	sleepers [][]chan struct{}
	reserved []string // by all, in order
}

func newWorld(cfg LocalConfig) *world {
	words := make([]uint64, (cfg.Bytes+cfg.PageSize)/8) // of Go's heap: the race detector sees no other
	b := unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), 8*len(words))
	page := uintptr(cfg.PageSize)
	skip := int(-uintptr(unsafe.Pointer(&b[0])) % page)
	w := &world{
		LocalConfig: cfg, region: b[skip:][:cfg.Bytes:cfg.Bytes], locks: make([]chan struct{}, cfg.Locks+1),
		dead: make(chan struct{}), open: make(chan struct{}), sleepers: make([][]chan struct{}, cfg.Conds),
	}
	for i := range w.locks {
		w.locks[i] = make(chan struct{}, 1)
	}
	return w
}

// errOther ends the nodes that would wait for one that failed.
var errOther = errors.New("another node failed")

// restart ends one life of a node, with what the next begins with.
type restart struct{ image []byte }

// live is a node's lives.
func (w *world) live(id int, program func(*Node) error) error {
	var image []byte
	for {
		again, err := w.life(id, image, program)
		if again == nil {
			return err
		}
		image = again.image
	}
}

func (w *world) life(id int, image []byte, program func(*Node) error) (again *restart, err error) {
	n, err := newNode(setup{id, w.Nodes, w.PageSize, w.Locks, w.Conds, w.region, image}, &local{world: w, id: id})
	if err != nil {
		return nil, err
	}
	defer func() {
		switch p := recover().(type) {
		case nil:
		case *restart:
			again = p
		default:
			panic(p)
		}
	}()
	return nil, guard(n, program)
}

func (w *world) end(id int, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended++
	if err == nil && w.arrived > 0 {
		err = errors.New("ends while others wait at a barrier")
	}
	if err != nil && w.err == nil {
		w.err = fmt.Errorf("node %d: %w", id, err)
		close(w.dead)
	}
}

// local is one node's engine.
type local struct {
	*world
	id       int
	reserves int
}

func (l *local) Acquire(lock uint32) (call.Flags, error) {
	select {
	case l.locks[lock] <- struct{}{}:
		return l.due(), nil
	case <-l.dead:
		return 0, errOther
	}
}

func (l *local) Release(lock uint32) (call.Flags, error) {
	<-l.locks[lock]
	return l.due(), nil
}

func (l *local) Call(kind uint32, args ...uint64) (call.Flags, error) {
	var err error
	switch kind {
	case uapi.DsmBarrier, uapi.DsmEnd:
		err = l.barrier()
	case uapi.DsmWait:
		err = l.wait(uint32(args[0]), uint32(args[1]))
	case uapi.DsmSignal:
		l.wake(args[0], 1)
	case uapi.DsmBroadcast:
		l.wake(args[0], l.Nodes)
	}
	return l.due(), err
}

// due asks for a checkpoint whenever a restart may come.
func (l *local) due() call.Flags {
	if l.Restart == nil {
		return 0
	}
	return uapi.DsmDue
}

func (l *local) wait(cond, lock uint32) error {
	slept := make(chan struct{})
	l.mu.Lock()
	l.sleepers[cond] = append(l.sleepers[cond], slept)
	l.mu.Unlock()
	<-l.locks[lock]
	select {
	case <-slept:
	case <-l.dead:
		return errOther
	}
	_, err := l.Acquire(lock)
	return err
}

func (l *local) barrier() error {
	l.mu.Lock()
	if l.ended > 0 {
		l.mu.Unlock()
		return errors.New("a node has ended: this would wait for ever")
	}
	open := l.open
	if l.arrived++; l.arrived == l.Nodes {
		l.arrived, l.open = 0, make(chan struct{})
		close(open)
	}
	l.mu.Unlock()
	select {
	case <-open:
		return nil
	case <-l.dead:
		return errOther
	}
}

func (l *local) wake(cond uint64, most int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.sleepers[cond]
	k := min(most, len(s))
	for _, c := range s[:k] {
		close(c)
	}
	l.sleepers[cond] = s[k:]
}

// reserve holds a node to what the first did.
func (l *local) reserve(what string, size int) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	what = fmt.Sprintf("%s, %d", what, size)
	if l.reserves == len(l.reserved) {
		l.reserved = append(l.reserved, what)
	}
	if was := l.reserved[l.reserves]; was != what {
		return fmt.Errorf("node %d reserves %s where another reserved %s", l.id, what, was)
	}
	l.reserves++
	return nil
}

// Checkpoint is the place where a node may be restarted.
func (l *local) Checkpoint(private []byte, _ bool) error {
	var im image
	if err := im.decode(private); err != nil {
		return err
	}
	if l.Restart == nil || !l.Restart(l.id, im.Step) {
		return nil // nothing is lost here
	}
	panic(&restart{private})
}
