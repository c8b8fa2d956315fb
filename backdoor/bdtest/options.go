// SPDX-License-Identifier: Apache-2.0

package bdtest

import (
	"time"

	"lazystate/backdoor"
	"lazystate/backdoor/uapi"
)

type config struct {
	ram, bar  []byte
	size      int
	levels    int
	rss       RSS
	cpus      int
	keys      map[uint32]uapi.Key
	noRepair  bool
	fence     bool
	noMemory  bool
	boxes     int // entries of their directory
	boxPages  int
	began     time.Time // its monotonic clock was 0
	reactions bool

	members map[string]backdoor.Member
	values  map[string]uint64
}

// Option changes what New builds.
type Option func(*config)

// WithRAM sets the size of the guest's memory; 16 MiB if not given.
func WithRAM(bytes int) Option { return func(c *config) { c.size = bytes } }

// WithBacking builds the machine in memory of the caller's, for example two
// mapped files that package inic opens.
func WithBacking(ram, bar []byte) Option {
	return func(c *config) { c.ram, c.bar, c.size = ram, bar, len(ram) }
}

// WithLevels sets 4 or 5 levels of page tables; 4 if not given.
func WithLevels(n int) Option { return func(c *config) { c.levels = n } }

// WithRSS sets the form of mm_struct.rss_stat.
func WithRSS(r RSS) Option { return func(c *config) { c.rss = r } }

// WithCPUs sets the number of CPUs; 2 if not given.
func WithCPUs(n int) Option { return func(c *config) { c.cpus = n } }

// WithKey gives a monitor slot its key, as bdagent would.
func WithKey(slot uint32, key uapi.Key) Option { return func(c *config) { c.keys[slot] = key } }

// WithoutRepair leaves out every region that a monitor may write (allow_repair=0).
func WithoutRepair() Option { return func(c *config) { c.noRepair = true } }

// WithFence adds the fence region (allow_fence=1).
func WithFence() Option { return func(c *config) { c.fence = true } }

// WithoutMemory leaves out the whole-memory region, as lockdown does.
func WithoutMemory() Option { return func(c *config) { c.noMemory = true } }

// ByHand keeps the CPUs from running after each batch; the test calls Step.
func ByHand() Option { return func(c *config) { c.reactions = false } }

// WithManifest adds to what the manifest says of the kernel: structures that the
// test builds itself.
func WithManifest(members map[string]backdoor.Member, values map[string]uint64) Option {
	return func(c *config) { c.members, c.values = members, values }
}
