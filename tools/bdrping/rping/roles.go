// SPDX-License-Identifier: Apache-2.0

package rping

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"lazystate/verbs"
)

// connParam is what rping asks for: one READ at a time.
func connParam() *verbs.ConnParam {
	return &verbs.ConnParam{ResponderResources: 1, InitiatorDepth: 1, RetryCount: 7, RNRRetry: 7}
}

// Serve takes the next client and answers its pings of at most size bytes until
// it disconnects. It returns how many there were.
func Serve(ctx context.Context, dev *verbs.Device, l *verbs.Listener, size int) (rounds int, err error) {
	req, err := l.Accept(ctx)
	if err != nil {
		return 0, err
	}
	defer req.Close()
	e, err := newEnd(ctx, dev, size)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, e.close()) }()
	if err := e.joined(req.Accept(ctx, e.prep, connParam())); err != nil {
		return 0, err
	}
	defer e.untilDone()()
	for {
		served, err := e.answer(size)
		if served {
			rounds++
		}
		if errors.Is(err, errGone) {
			return rounds, nil
		}
		if err != nil {
			return rounds, fmt.Errorf("ping %d: %w", rounds, err)
		}
	}
}

// untilDone ends the waits when the peer disconnects; what it returns calls that
// off.
func (e *end) untilDone() func() {
	ctx, cancel := context.WithCancelCause(e.ctx)
	e.ctx = ctx
	go func() {
		select {
		case <-e.qp.Done():
			cancel(errGone)
		case <-ctx.Done():
		}
	}()
	return func() { cancel(nil) }
}

// answer serves one ping: READ the text, WRITE it back. It is served once it is
// back: of the message behind that the acknowledgement may be lost, and a client
// that has what it wants disconnects.
func (e *end) answer(size int) (served bool, err error) {
	text, err := e.fetch(size)
	if err != nil {
		return false, err
	}
	dst, err := e.hear()
	if err != nil {
		return false, err
	}
	if err := e.do(verbs.SendWR{Op: verbs.OpRDMAWrite, SG: text, RemoteAddr: dst.addr, RKey: dst.key}); err != nil {
		return false, fmt.Errorf("write the text: %w", err)
	}
	return true, e.advertise(0)
}

// fetch READs the text of a ping and says that it is there.
func (e *end) fetch(size int) ([]verbs.SGE, error) {
	src, err := e.hear()
	if err != nil {
		return nil, err
	}
	n := int(src.size)
	if n < 0 || n > size {
		return nil, fmt.Errorf("client has %d bytes, at most %d are served", src.size, size)
	}
	text := []verbs.SGE{e.mr.SGE(textAt, n)}
	if err := e.do(verbs.SendWR{Op: verbs.OpRDMARead, SG: text, RemoteAddr: src.addr, RKey: src.key}); err != nil {
		return nil, fmt.Errorf("read the text: %w", err)
	}
	return text, e.advertise(0) // any message says: go on
}

// Ping connects to a server and sends count pings of size bytes, each other
// text; report is told of each.
func Ping(ctx context.Context, dev *verbs.Device, to netip.AddrPort, count, size int, report func(i int, took time.Duration)) (err error) {
	route, err := dev.Resolve(ctx, netip.Addr{}, to)
	if err != nil {
		return err
	}
	defer route.Close()
	e, err := newEnd(ctx, dev, 2*size)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.close()) }()
	qp, _, err := route.Connect(ctx, e.prep, connParam())
	if e.joined(qp, err) != nil {
		return err
	}
	defer e.untilDone()()
	for i := range count {
		start := time.Now()
		if err := e.ask(i, size); err != nil {
			return fmt.Errorf("ping %d: %w", i, err)
		}
		report(i, time.Since(start))
	}
	return e.qp.Disconnect(ctx)
}

// ask is one ping. The text ends with a zero byte, since rping's server measures
// it as a C string.
func (e *end) ask(i, size int) error {
	text := e.text(size)
	fillText(text, i)
	want := bytes.Clone(text)
	if err := e.advertise(size); err != nil {
		return err
	}
	if _, err := e.hear(); err != nil {
		return err
	}
	clear(text)
	if err := e.advertise(size); err != nil {
		return err
	}
	if _, err := e.hear(); err != nil {
		return err
	}
	if !bytes.Equal(text, want) {
		return fmt.Errorf("other text came back: %q", text)
	}
	return nil
}

// fillText is rping's: a number, then letters that go around.
func fillText(b []byte, i int) {
	n := copy(b, fmt.Sprintf("rdma-ping-%d: ", i))
	for c := byte('A' + i%58); n < len(b)-1; n++ {
		b[n] = c
		if c++; c > 'z' {
			c = 'A'
		}
	}
	if len(b) > 0 {
		b[len(b)-1] = 0
	}
}
