// SPDX-License-Identifier: Apache-2.0

package bdtest

import (
	"fmt"
	"maps"
	"sync"
	"time"

	"lazystate/backdoor"
	"lazystate/backdoor/uapi"
)

// Target is the synthetic machine. Its methods may be called while readers run.
type Target struct {
	mu  sync.Mutex
	cfg config
	image
	off map[string]backdoor.Member

	boot       backdoor.BootID
	generation uint64
	regions    []backdoor.Region
	area       map[uint32]uint64 // kind -> physical address
	gone       bool
	hung       bool
	boots      int
	crash      struct{ loaded, postNotifiers uint64 }

	procs   map[int]*process
	initPID *process // the idle task, pid 0
	idr     idr
	nextPID int
	tables  uint64 // physical address of the page-table root

	kernel kernel
	memory *Memory
}

// New builds a machine that runs the module and an init process of pid 1.
func New(opts ...Option) *Target {
	c := config{size: 16 << 20, levels: 4, cpus: 2, began: time.Now(), keys: map[uint32]uapi.Key{}, reactions: true}
	for _, o := range opts {
		o(&c)
	}
	if c.ram == nil {
		c.ram, c.bar = make([]byte, c.size), make([]byte, 4096)
	}
	t := &Target{cfg: c}
	t.memory = &Memory{t: t}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.start()
	return t
}

// start fills memory as a boot does: all earlier state is gone.
func (t *Target) start() {
	t.boots++
	clear(t.cfg.bar)
	t.image = newImage(t.cfg)
	t.off = members(t.cfg.rss, 96+16*uint32(t.cfg.rss))
	maps.Copy(t.off, t.cfg.members)
	t.boot = backdoor.BootID{0xb0, 0x07, byte(t.boots), byte(t.boots >> 8), 1}
	t.generation = 1
	t.gone, t.hung = false, false
	t.crash.loaded, t.crash.postNotifiers = 0, 0
	t.procs = map[int]*process{}
	t.nextPID = 1
	t.area = map[uint32]uint64{}
	t.kernel = newKernel(t.cfg.cpus)
	t.buildTables()
	t.buildTasks()
	t.publish()
}

// Memory returns the carrier to this target; the same one at every call.
func (t *Target) Memory() *Memory { return t.memory }

// Poke writes memory at a kernel virtual address (direct map or kernel image).
func (t *Target) Poke(va uint64, b []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	copy(t.at(t.physical(va), len(b)), b)
}

// Peek reads memory at a kernel virtual address.
func (t *Target) Peek(va uint64, n int) []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]byte(nil), t.at(t.physical(va), n)...)
}

// Poke64 writes a word.
func (t *Target) Poke64(va, v uint64) { t.Poke(va, le64(v)) }

// Area returns the kernel virtual address of a region's first byte.
func (t *Target) Area(kind uint32) uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	pa, ok := t.area[kind]
	if !ok {
		panic(fmt.Sprintf("bdtest: no region of kind %d", kind))
	}
	return t.base + pa
}

// Offset returns a member of the synthetic kernel's structures.
func (t *Target) Offset(name string) uint64 {
	m, ok := t.off[name]
	if !ok {
		panic("bdtest: no member " + name)
	}
	return uint64(m.Off)
}
