// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"sync"
	"time"

	"lazystate/dsm"
)

type jobKind uint8

const (
	save jobKind = iota
	load
	discard
	discardPage
)

// job is what stable storage is asked for.
type job struct {
	kind    jobKind
	state   *dsm.State // save
	private []byte     // save
	number  uint32
	page    dsm.Page
	to      dsm.NodeID // load
}

// result is what became of it.
type result struct {
	job
	bytes []byte // load
	took  time.Duration
	err   error
}

// disk does jobs one after the other, behind the program's back.
type disk struct {
	store Store
	told  func(result)
	mu    sync.Mutex
	more  *sync.Cond
	jobs  []job
	end   bool
	gone  chan struct{}
}

func newDisk(s Store, told func(result)) *disk {
	k := &disk{store: s, told: told, gone: make(chan struct{})}
	k.more = sync.NewCond(&k.mu)
	go k.run()
	return k
}

func (k *disk) do(j job) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.jobs = append(k.jobs, j)
	k.more.Signal()
}

// close drops what has not begun and waits for what has.
func (k *disk) close() {
	k.mu.Lock()
	k.end, k.jobs = true, nil
	k.more.Signal()
	k.mu.Unlock()
	<-k.gone
}

func (k *disk) next() (job, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for len(k.jobs) == 0 && !k.end {
		k.more.Wait()
	}
	if k.end {
		return job{}, false
	}
	j := k.jobs[0]
	k.jobs = k.jobs[1:]
	return j, true
}

func (k *disk) run() {
	defer close(k.gone)
	for {
		j, ok := k.next()
		if !ok {
			return
		}
		r, began := result{job: j}, time.Now()
		switch j.kind {
		case save:
			r.err = k.store.Save(j.state, j.private)
		case load:
			r.bytes, r.err = k.store.Page(j.number, j.page)
		case discard:
			k.store.Discard(j.number)
		case discardPage:
			k.store.DiscardPage(j.number, j.page)
		}
		r.took = time.Since(began)
		k.told(r)
	}
}
