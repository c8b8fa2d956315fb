// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"context"
	"fmt"
	"sync"

	"golang.org/x/sys/unix"

	"lazystate/internal/unixsock"
	"lazystate/verbs/driver"
)

// link is what we have of a peer's device: its table, its doorbell, the
// memory that it registered. All queue pairs to that device share it.
type link struct {
	dev *Device
	gid driver.GID

	mu      sync.RWMutex // all below
	out     *outbox      // nil: there is no socket yet
	up      bool         // the peer has welcomed us
	down    bool         // it is gone, for good
	table   peerTable
	hints   mapping
	bell    int
	regions map[uint32]*peerRegion // by key
	engines map[uint32]*engine     // by our queue pair's number
	news    map[uint32]struct{}    // the peer's queue pairs to tell, once it is up
}

// peerRegion is a registration of the peer, mapped.
type peerRegion struct {
	mapping
	slot   uint32
	seq    uint64
	addr   uint64
	access driver.Access
	pd     uint32
}

// linkTo returns the link to a device, which is made if there is none. d is locked.
func (d *Device) linkTo(gid driver.GID) *link {
	if l := d.links[gid]; l != nil && !l.isDown() {
		return l
	}
	l := &link{dev: d, gid: gid, bell: -1, regions: map[uint32]*peerRegion{}, engines: map[uint32]*engine{}, news: map[uint32]struct{}{}}
	d.links[gid] = l
	if d.closed {
		l.down = true
		return l
	}
	d.done.Add(1)
	go l.run()
	return l
}

func (l *link) isDown() bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.down
}

func deviceName(gid driver.GID) string { return fmt.Sprintf("@lazystate/verbs/shm/%x", gid) }

// run speaks with the peer until either is gone.
func (l *link) run() {
	defer l.dev.done.Done()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	l.dev.done.Add(1)
	go func() {
		defer l.dev.done.Done()
		select {
		case <-l.dev.Closed():
			cancel()
			l.hangUp()
		case <-ctx.Done():
		}
	}()
	sock, err := l.dial(ctx)
	for err == nil {
		err = l.next(sock)
	}
	l.fall()
}

func (l *link) dial(ctx context.Context) (socket, error) {
	sock, err := dialUnix(ctx, deviceName(l.gid))
	if err != nil {
		return sock, err
	}
	out := newOutbox(sock)
	l.mu.Lock()
	l.out = &out
	l.mu.Unlock()
	l.dev.done.Add(1)
	go func() {
		defer l.dev.done.Done()
		out.run()
	}()
	out.send(&message{Kind: kHello, GID: l.dev.gid})
	return sock, ctx.Err() // the device may have closed before there was a socket to hang up
}

func (l *link) hangUp() {
	l.mu.RLock()
	out := l.out
	l.mu.RUnlock()
	if out != nil {
		out.close()
	}
}

// next takes one message of the peer.
func (l *link) next(sock socket) error {
	m, files, err := sock.read()
	if err != nil {
		return err
	}
	defer func() { unixsock.Close(files) }()
	want := map[kind]int{kWelcome: 3, kRegion: 1, kRegionEnd: 0, kOpened: 1}
	if m.Kind == kOpened && m.Status != 0 {
		want[kOpened] = 0
	}
	if n, ok := want[m.Kind]; !ok || len(files) != n {
		return errFiles
	}
	switch m.Kind {
	case kWelcome:
		if err := l.welcome(files); err != nil {
			return err
		}
		files = nil
	case kRegion:
		err = l.region(m, files[0])
	case kRegionEnd:
		l.regionEnd(m)
	case kOpened:
		l.opened(m, files)
	}
	return err
}

// welcome takes the peer's files and asks for the queue pairs that wait.
func (l *link) welcome(files []int) error {
	table, err := mapFile(files[0], 0, tableSize, false)
	if err != nil {
		return err
	}
	hints, err := mapFile(files[1], 0, hintSize, true)
	if err != nil {
		table.unmap()
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	t := peerTable{table}
	if err := t.check(); err != nil || l.up || !table.sealed || !hints.sealed {
		table.unmap()
		hints.unmap()
		return fmt.Errorf("a peer's tables: %w", errFiles)
	}
	unixsock.Close(files[:2])
	l.table, l.hints, l.bell, l.up = t, hints, files[2], true
	for num, e := range l.engines {
		l.ask(num, e.peer)
	}
	for num := range l.news {
		ring(l.hints.b, l.table.b, l.bell, num)
	}
	clear(l.news)
	return nil
}

// ask asks for the segment of the peer's queue pair. l is locked.
func (l *link) ask(num, peer uint32) { l.out.send(&message{Kind: kOpen, QPN: peer, Src: num}) }

func (l *link) region(m *message, fd int) error {
	allowed := driver.Access(m.Access)
	b, err := mapFile(fd, m.Off, m.Len, allowed&writes != 0)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if m.Slot >= slots || m.Addr+m.Len-1 < m.Addr {
		b.unmap()
		return fmt.Errorf("a registration at slot %d: %w", m.Slot, errFiles)
	}
	if old := l.regions[m.Key]; old != nil {
		old.unmap()
	}
	l.regions[m.Key] = &peerRegion{mapping: b, slot: m.Slot, seq: m.Seq, addr: m.Addr, access: allowed, pd: m.PD}
	l.kick()
	return nil
}

func (l *link) regionEnd(m *message) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if r := l.regions[m.Key]; r != nil && r.seq == m.Seq {
		r.unmap()
		delete(l.regions, m.Key)
	}
}

// kick lets the queue pairs go on that may have waited for what came. l is locked.
func (l *link) kick() {
	for num := range l.engines {
		l.dev.hint(num)
	}
}

func (l *link) opened(m *message, files []int) {
	l.mu.RLock()
	e := l.engines[m.Src]
	l.mu.RUnlock()
	if e == nil || e.peer != m.QPN {
		return
	}
	var seg mapping
	if m.Status == 0 {
		var err error
		if seg, err = mapFile(files[0], 0, segSize, true); err != nil || !seg.sealed {
			seg.unmap() // a segment of nothing: the peer is not what it says
		}
	}
	e.opened(seg, m.PD)
}

// fall ends the link: every queue pair over it is alone.
func (l *link) fall() {
	l.hangUp()
	l.mu.Lock()
	l.down = true
	l.table.unmap()
	l.hints.unmap()
	for _, r := range l.regions {
		r.unmap()
	}
	clear(l.regions)
	if l.bell >= 0 {
		unix.Close(l.bell)
	}
	l.bell = -1
	engines := l.engines
	l.engines = map[uint32]*engine{}
	l.mu.Unlock()
	l.dev.mu.Lock()
	if l.dev.links[l.gid] == l {
		delete(l.dev.links, l.gid)
	}
	l.dev.dismiss(l.gid)
	l.dev.mu.Unlock()
	for _, e := range engines {
		e.alone()
	}
}

// join adds a queue pair of ours that talks to the peer's.
func (l *link) join(e *engine) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.engines[e.qp.Num] = e
	if l.up {
		l.ask(e.qp.Num, e.peer)
	}
}

func (l *link) leave(e *engine) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.engines[e.qp.Num] == e {
		delete(l.engines, e.qp.Num)
	}
}

// notify tells the peer that there is something for its queue pair, and rings
// if it sleeps. The peer may be ahead of us: what it is to know before our link
// is up is told then.
func (l *link) notify(num uint32) {
	if l.tell(num) {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.down:
	case l.up:
		ring(l.hints.b, l.table.b, l.bell, num)
	default:
		l.news[num] = struct{}{}
	}
}

// tell is notify of a link that is up.
func (l *link) tell(num uint32) bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.up && !l.down {
		ring(l.hints.b, l.table.b, l.bell, num)
	}
	return l.up
}
