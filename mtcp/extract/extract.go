// SPDX-License-Identifier: Apache-2.0

package extract

import (
	"context"
	"fmt"
	"strings"

	"lazystate/backdoor"
	"lazystate/internal/seqnum"
	"lazystate/mtcp"
	"lazystate/mtcp/tcprepair"
)

// Limits bound what a hostile memory can make its reader remember, in bytes.
type Limits struct {
	Socket uint64 // of one socket; 0: 64 MiB
	All    uint64 // of one call; 0: 1 GiB
}

// Found is what a socket's memory says.
type Found struct {
	Sock uint64
	Held bool // somebody was inside when it stopped: it was put together by rule
	// Spoke: the peer has said something since this end did, a jiffy later at least. False
	// where the manifest does not tell: it is a hint at who waits for whom.
	Spoke bool
	Err   error // *LostError: what follows is not to be used

	Dump  *tcprepair.Dump
	Holes []Hole // of Dump.Out, in order
	Path  mtcp.Path
	Notes []string // what may be wrong all the same

	rcvNxt, copied, sndUna seqnum.Value
	received, acked        uint64
}

// Extractor reads sockets of one target.
type Extractor struct {
	t      *backdoor.Target
	y      *layout
	limits Limits
}

// New looks the kernel's structures up in the target's manifest.
func New(t *backdoor.Target, limits Limits) (*Extractor, error) {
	y, err := newLayout(t.Manifest())
	if err != nil {
		return nil, fmt.Errorf("extract sockets: %w", err)
	}
	if limits.Socket == 0 {
		limits.Socket = 64 << 20
	}
	if limits.All == 0 {
		limits.All = 1 << 30
	}
	return &Extractor{t, y, limits}, nil
}

// Extract reads the sockets at these addresses (struct sock), all of them at
// once: as many batches as the longest of their queues has links, halved, and a
// few. The machine must stand still: fence it first. Its error is the carrier's;
// what is wrong with one socket is in its Found, in the order of the addresses.
func (x *Extractor) Extract(ctx context.Context, socks []uint64) ([]Found, error) {
	e := &extraction{Extractor: x, r: &reader{t: x.t}, all: purse{left: x.limits.All}, names: map[uint64][]*walk{}}
	if err := e.read(ctx, socks); err != nil {
		return nil, fmt.Errorf("extract sockets: %w", err)
	}
	found := make([]Found, len(socks))
	for i := range e.walks {
		found[i] = e.found(socks[i], &e.walks[i])
	}
	return found, nil
}

// extraction is one call.
type extraction struct {
	*Extractor
	r     *reader
	all   purse
	walks []walked
	names map[uint64][]*walk // who waits for the name of a congestion control
}

// walked is one socket of it.
type walked struct {
	walk
	raw []byte
	err error
}

func (e *extraction) read(ctx context.Context, socks []uint64) error {
	e.walks = make([]walked, len(socks))
	for i, addr := range socks {
		w := &e.walks[i]
		w.walk = walk{r: e.r, y: e.y, purse: &purse{e.limits.Socket, &e.all}, skbs: maxSkbs}
		if !w.purse.spend(e.y.sock.Len()) {
			w.err = lost(TooLarge, "all sockets together")
			continue
		}
		e.r.ask(e.y.sock.Read(addr), func(b []byte, err error) { e.opened(w, addr, b, err) })
	}
	if err := e.r.run(ctx); err != nil {
		return err
	}
	// What was on its way from one queue to the other is in a third.
	for i := range e.walks {
		if w := &e.walks[i]; w.err == nil && w.s.held && w.gaps() {
			w.sorted(w.raw)
		}
	}
	return e.r.run(ctx)
}

func (e *extraction) opened(w *walked, addr uint64, b []byte, err error) {
	if err != nil {
		w.err = lost(Unreadable, "%v", err)
		return
	}
	w.raw = b
	if w.s, w.err = e.y.decode(addr, b); w.err == nil {
		w.queues(b)
		e.askName(&w.walk)
	}
}

// askName asks for the name of the congestion control, once for all who have it.
func (e *extraction) askName(w *walk) {
	ca := w.s.ca
	e.names[ca] = append(e.names[ca], w)
	if len(e.names[ca]) > 1 || ca == 0 {
		return
	}
	e.r.ask(e.y.caName.Read(ca), func(b []byte, err error) {
		if err != nil {
			return // the default does, too
		}
		name, _, _ := strings.Cut(string(e.y.caName.Bytes(b, "name")), "\x00")
		for _, w := range e.names[ca] {
			w.congestion = printable(name)
		}
	})
}

// printable is empty for what no congestion control is called.
func printable(name string) string {
	for _, c := range []byte(name) {
		if c <= ' ' || c > '~' {
			return ""
		}
	}
	return name
}

func (e *extraction) found(addr uint64, w *walked) Found {
	f := Found{Sock: addr, Err: w.err}
	if w.s != nil {
		f.Held, f.Spoke, f.Path = w.s.held, w.s.spoke, w.s.path
		f.rcvNxt, f.copied, f.sndUna = w.s.rcvNxt, w.s.copied, w.s.sndUna
		f.received, f.acked = w.s.bytesReceived, w.s.bytesAcked
	}
	if w.err != nil {
		return f
	}
	a, err := w.reconcile(e.limits.Socket)
	f.Dump, f.Holes, f.Notes, f.Err = a.d, a.holes, a.notes, err
	if f.Err == nil {
		if err := f.Dump.Check(); err != nil {
			f.Err = lost(w.disorder(), "%v", err)
		}
	}
	return f
}

// disorder is what numbers are that do not go together.
func (w *walk) disorder() Reason {
	if w.s.held {
		return Torn
	}
	return Damaged
}
