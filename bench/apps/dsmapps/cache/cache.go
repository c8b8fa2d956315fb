// SPDX-License-Identifier: Apache-2.0

package cache

import (
	"errors"
	"flag"
	"fmt"
	"unsafe"

	"lazystate/bench/apps/dsmapps/program"
	"lazystate/dsm/client"
)

// Cache is the program with its sizes.
type Cache struct {
	Requests int // of all nodes
	Keys     int
	Slots    int // in the cache
	Writes   int // per cent of requests
	Skew     float64
}

func (c *Cache) Flags(fs *flag.FlagSet) {
	fs.IntVar(&c.Requests, "requests", 100_000, "requests of all nodes")
	fs.IntVar(&c.Keys, "keys", 4096, "keys")
	fs.IntVar(&c.Slots, "slots", 1024, "values that the cache holds")
	fs.IntVar(&c.Writes, "writes", 20, "per cent of requests that change a value")
	fs.Float64Var(&c.Skew, "skew", 1.1, "exponent of the keys' popularity; 0: all the same")
}

func (c *Cache) Check() error {
	if c.Requests < 1 || c.Keys < 1 || c.Slots < ways || c.Writes < 0 || c.Writes > 100 || !(c.Skew >= 0) {
		return fmt.Errorf("1 request, 1 key and %d slots or more, 0 to 100 %% writes, a skew of 0 or more", ways)
	}
	return nil
}

// Requests between two checkpoints, and locks of buckets.
const (
	batch    = 64
	maxLocks = 1024
)

func (c *Cache) sets() int { return c.Slots / ways }

func (c *Cache) locks() int { return min(c.sets(), maxLocks) }

func (c *Cache) Needs(int) program.Needs {
	return program.Needs{Bytes: c.sets()*int(unsafe.Sizeof(bucket{})) + c.Keys*int(unsafe.Sizeof(value{})) + 4096, Locks: c.locks() + 1}
}

// counts are of one node, in the end of all.
type counts struct{ Hits, Misses int64 }

// server is one node.
type server struct {
	*Cache
	*client.Node
	table
	load   *load
	lock   int // the first of the buckets'
	counts counts
	err    error
}

// serve does a request under its bucket's lock.
func (s *server) serve(r request) {
	lock := s.lock + s.bucket(r.key)%s.locks()
	s.Lock(lock)
	defer s.Unlock(lock)
	v, hit := s.get(r.key)
	if hit {
		s.counts.Hits++
	} else {
		s.counts.Misses++
	}
	if err := v.check(r.key); err != nil && s.err == nil {
		s.err = err
	}
	if r.write {
		v.add(r.word, r.delta)
	}
}

// Parallel serves every so many-th request at this node, a batch a step. Nodes
// meet at the end only.
func (c *Cache) Parallel(n *client.Node, progress program.Progress) (program.Digest, error) {
	s := &server{Cache: c, Node: n, load: newLoad(c.Keys, c.Writes, c.Skew)}
	s.buckets, s.records = client.Slice[bucket](n, c.sets()), client.Slice[value](n, c.Keys)
	total := client.Slice[counts](n, 1)
	s.lock = n.Locks(c.locks())
	end := n.Locks(1)
	n.Private("counts", &s.counts)
	own := (c.Requests - n.ID() + n.Nodes() - 1) / n.Nodes()
	steps := (own + batch - 1) / batch
	n.Run(func(k int) bool {
		for j := k * batch; j < min((k+1)*batch, own); j++ {
			s.serve(s.load.request(j*n.Nodes() + n.ID()))
		}
		if n.ID() == 0 {
			progress(k+1, steps)
		}
		return k+1 < steps && s.err == nil
	})
	n.Lock(end)
	total[0].Hits += s.counts.Hits
	total[0].Misses += s.counts.Misses
	n.Unlock(end)
	n.Barrier()
	if sum := total[0].Hits + total[0].Misses; s.err == nil && sum != int64(c.Requests) {
		s.err = fmt.Errorf("%d hits and misses of %d requests", sum, c.Requests)
	}
	if n.ID() > 0 || s.err != nil {
		return "", s.err
	}
	return s.digest()
}

// digest is of all values by key.
func (t *table) digest() (program.Digest, error) {
	h := program.NewHash()
	var errs []error
	for key := range t.records {
		v := t.now(key)
		errs = append(errs, v.check(key))
		program.Add(h, v[:])
	}
	return h.Digest(), errors.Join(errs...)
}

// Sequential has no cache.
func (c *Cache) Sequential() program.Digest {
	values, l := make([]value, c.Keys), newLoad(c.Keys, c.Writes, c.Skew)
	for i := range c.Requests {
		if r := l.request(i); r.write {
			values[r.key].add(r.word, r.delta)
		}
	}
	h := program.NewHash()
	for key := range values {
		program.Add(h, values[key][:])
	}
	return h.Digest()
}
