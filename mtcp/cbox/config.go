// SPDX-License-Identifier: Apache-2.0

package cbox

import (
	"net"
	"strconv"
	"sync"
	"time"
)

// Config is how boxes are made and used. The zero value is a single process
// with snapshots of up to 4032 bytes and a log of 16 KiB, kept by nobody.
type Config struct {
	// Sizes in bytes; rings are rounded up to powers of two. Resume and Open
	// take them from the box.
	Snapshot  int // most application state in a snapshot
	Log       int // most that a process can read from the client between two exports
	Hold      int // most output of a nondeterministic interval
	Ring      int // of each direction of a channel: most it can read there between two exports
	Processes int // of the service, with the root
	Channels  int // between all of them

	Name string // of the root: who says it at a keeper takes it over

	// LogWait is how long a call waits for another goroutine's export when a
	// log is full, before it returns a LogFullError.
	LogWait time.Duration

	Keeper Keeper // who outlives this process
	Bell   *Bell  // how the keeper wakes it
	Quota  *Quota // of the boxes that are alive at once
}

// Keeper outlives the processes of a session: it holds the box and the
// connection, and hands them on when they die.
type Keeper interface {
	// Keep is told of a new session, before any of its bytes is read.
	Keep(id ID, r Region, conn *net.TCPConn) error
	// Done is told that the process has closed it; the box says what is left to do.
	// The generation says which of its stays here is meant: it may have left and come back.
	Done(id ID, generation uint64)
}

// Quota bounds the memory of all boxes that share it.
type Quota struct {
	Boxes int
	Bytes int64

	mu    sync.Mutex
	boxes int
	bytes int64
}

func (q *Quota) take(n int64) error {
	if q == nil {
		return nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.Boxes > 0 && q.boxes >= q.Boxes {
		return &SizeError{"continuation boxes", uint64(q.boxes) + 1, uint64(q.Boxes)}
	}
	if q.Bytes > 0 && q.bytes+n > q.Bytes {
		return &SizeError{"bytes of continuation boxes", uint64(q.bytes + n), uint64(q.Bytes)}
	}
	q.boxes++
	q.bytes += n
	return nil
}

func (q *Quota) give(n int64) {
	if q == nil {
		return
	}
	q.mu.Lock()
	q.boxes--
	q.bytes -= n
	q.mu.Unlock()
}

// zone and scope translate the interface of a link-local address.
func zone(scope uint32) string {
	if scope == 0 {
		return ""
	}
	return strconv.FormatUint(uint64(scope), 10)
}

func scope(zone string) uint32 {
	if zone == "" {
		return 0
	}
	if i, err := net.InterfaceByName(zone); err == nil {
		return uint32(i.Index)
	}
	n, _ := strconv.ParseUint(zone, 10, 32)
	return uint32(n)
}
