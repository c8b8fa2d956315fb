// SPDX-License-Identifier: Apache-2.0

package steer

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"

	"lazystate/internal/seqnum"
	"lazystate/mtcp/wire"
)

// Told is why a segment is told.
type Told uint8

// The reasons there are.
const (
	Offered = Told(bpfToldTOLD_OFFER)  // a SYN+ACK with an option of M-TCP; TCP has it too
	Option  = Told(bpfToldTOLD_OPTION) // a segment with one; TCP does not see it
	Next    = Told(bpfToldTOLD_NEXT)   // from the server that is asked, or its SYN+ACK repeated; likewise
	Abort   = Told(bpfToldTOLD_ABORT)  // the client's own RST, while its session moves
	Held    = Told(bpfToldTOLD_HELD)   // of a flow on hold
)

func (t Told) String() string {
	if t == 0 || t > Held {
		return fmt.Sprintf("told %d", uint8(t))
	}
	return [...]string{"", "offered", "option", "next", "abort", "held"}[t]
}

// Event is a segment that the kernel's programs hand over: its headers without
// its payload.
type Event struct {
	Told    Told
	Flow    Flow // on the wire
	Index   int  // of the interface
	At      time.Duration
	Payload int // bytes
	Segment wire.Segment
}

// eventSize is checked by TestLayouts.
const eventSize = 112

func eventOf(raw []byte) (Event, error) {
	var b bpfEvent
	if len(raw) < eventSize {
		return Event{}, fmt.Errorf("event of %d bytes, want %d", len(raw), eventSize)
	}
	if err := binary.Read(bytes.NewReader(raw), binary.NativeEndian, &b); err != nil {
		return Event{}, fmt.Errorf("event: %w", err)
	}
	e := Event{Told: Told(b.Told), Flow: flowOf(b.Flow), Index: int(b.Ifindex), At: time.Duration(b.Time), Payload: int(b.Payload)}
	s := wire.Segment{
		Src: e.Flow.Remote, Dst: e.Flow.Local, Seq: seqnum.Value(b.Seq), Ack: seqnum.Value(b.Ack),
		Flags: wire.Flags(b.Flags), Window: b.Window, Options: bytes.Clone(b.Options[:min(int(b.OptionsLen), len(b.Options))]),
	}
	if b.Out != 0 {
		s.Src, s.Dst = s.Dst, s.Src
	}
	e.Segment = s
	return e, nil
}

// source is a ring of events.
type source struct{ r *ringbuf.Reader }

func newSource(m *ebpf.Map) (*source, error) {
	r, err := ringbuf.NewReader(m)
	if err != nil {
		return nil, fmt.Errorf("events: %w", err)
	}
	return &source{r}, nil
}

// Next waits for a segment until the deadline: os.ErrDeadlineExceeded. After
// Close it is os.ErrClosed. One goroutine at a time calls it.
func (s *source) Next() (Event, error) {
	rec, err := s.r.Read()
	if errors.Is(err, ringbuf.ErrFlushed) {
		err = os.ErrDeadlineExceeded
	}
	if err != nil {
		return Event{}, err
	}
	return eventOf(rec.RawSample)
}

// Interrupt makes a Next that waits, or the next one, return
// os.ErrDeadlineExceeded. SetDeadline would wait for it.
func (s *source) Interrupt() error {
	if err := s.r.Flush(); err != nil {
		return fmt.Errorf("interrupt the reader of segments: %w", err)
	}
	return nil
}

// SetDeadline bounds a Next that has not begun; zero is no bound.
func (s *source) SetDeadline(t time.Time) { s.r.SetDeadline(t) }

func (s *source) close() error { return s.r.Close() }

// any4 keeps addresses of an unspecified host zero, not mapped.
func endpointOf(a netip.AddrPort) bpfEndpoint {
	var e bpfEndpoint
	if !a.Addr().IsUnspecified() {
		e.Addr.W = words(a.Addr())
	}
	e.Port = swap(a.Port())
	return e
}
