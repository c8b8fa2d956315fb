// SPDX-License-Identifier: Apache-2.0

package steer

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/perf"

	"lazystate/mtcp/wire"
)

const (
	keepBuffer = 1 << 20                // per CPU, between the programs and us
	keepMost   = 16 << 20               // bytes of all sessions
	keepFor    = 30 * time.Second       // of a move that does not end
	keepPoll   = 200 * time.Microsecond // how often it is looked whether it has
)

// keeper has, at a gateway, what clients send while their sessions move, and
// sends it to the new server (or the old one, if it comes to nothing): nobody
// waits for a retransmission timer. It goes out through the hook, which
// addresses it.
type keeper struct {
	r    *perf.Reader
	out  *Sender
	a    *Agent
	held map[Flow]*backlog
	size int
	done chan struct{}
}

// backlog is what is held of one session.
type backlog struct {
	segs  []wire.Segment
	size  int
	since time.Time
}

func newKeeper(a *Agent, m *ebpf.Map) (*keeper, error) {
	out, err := NewSender()
	if err != nil {
		return nil, err
	}
	r, err := perf.NewReader(m, keepBuffer)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("what is held back: %w", err), out.Close())
	}
	k := &keeper{r: r, out: out, a: a, held: map[Flow]*backlog{}, done: make(chan struct{})}
	go k.run()
	return k, nil
}

func (k *keeper) run() {
	defer close(k.done)
	var end time.Time // of this wait; zero while nothing is held
	for {
		k.r.SetDeadline(end)
		rec, err := k.r.Read()
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return // closed
		}
		if err == nil && len(rec.RawSample) > 0 {
			k.add(rec.RawSample)
		}
		if now := time.Now(); !now.Before(end) {
			k.flush()
			end = now.Add(keepPoll)
		}
		if len(k.held) == 0 {
			end = time.Time{}
		}
	}
}

// add takes one segment in: struct kept, then the frame, then padding.
func (k *keeper) add(raw []byte) {
	var b bpfKept
	head := binary.Size(b)
	if err := binary.Read(bytes.NewReader(raw), binary.NativeEndian, &b); err != nil {
		return
	}
	frame := raw[head:]
	if int(b.Len) > len(frame) || b.Link > b.Len || k.size+int(b.Len) > keepMost {
		return // the client sends it again
	}
	s, err := wire.ParseOffloaded(frame[b.Link:b.Len])
	if err != nil {
		return
	}
	f := flowOf(b.App)
	l := k.held[f]
	if l == nil {
		l = &backlog{since: time.Now()}
		k.held[f] = l
	}
	l.segs = append(l.segs, s)
	l.size += int(b.Len)
	k.size += int(b.Len)
}

// flush sends what is held of sessions that are held back no more.
func (k *keeper) flush() {
	for f, l := range k.held {
		s, err := k.a.lookup(f)
		held := err == nil && (State(s.State) == Switched || State(s.State) == Migrating && !expired(s))
		if held && time.Since(l.since) < keepFor {
			continue
		}
		if !held {
			// In order, so that the server need not ask for it again. An error is a
			// loss on the way, as any other.
			slices.SortStableFunc(l.segs, func(a, b wire.Segment) int { return int(int32(a.Seq - b.Seq)) })
			_ = k.out.Send(l.segs...)
		}
		k.size -= l.size
		delete(k.held, f)
	}
}

func (k *keeper) close() error {
	err := k.r.Close()
	<-k.done
	return errors.Join(err, k.out.Close())
}
