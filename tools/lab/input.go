// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"io"

	"lazystate/tools/lab/wire"
)

// input sends a stream to the guest, never more than the window ahead of what
// the guest consumed: its memory is not the host's to fill.
type input struct {
	w       *wire.Writer
	id      uint32
	q       *frameQueue
	credits chan struct{}
	done    chan struct{}
}

func newInput(w *wire.Writer, id uint32, q *frameQueue) *input {
	in := &input{w: w, id: id, q: q, credits: make(chan struct{}, wire.StdinWindow), done: make(chan struct{})}
	for range wire.StdinWindow {
		in.credits <- struct{}{}
	}
	return in
}

func (in *input) credit() {
	select {
	case in.credits <- struct{}{}:
	default: // more than was taken: not worth an error
	}
}

func (in *input) stop() { close(in.done) }

// copy sends r and its end. A reader that fails ends the request.
func (in *input) copy(r io.Reader) {
	buf := make([]byte, wire.MaxBody)
	for {
		n, err := r.Read(buf)
		if n > 0 && !in.send(buf[:n]) {
			return
		}
		if err == io.EOF {
			in.send(nil)
			return
		}
		if err != nil {
			in.q.end(err)
			return
		}
	}
}

func (in *input) send(b []byte) bool {
	select {
	case <-in.credits:
	case <-in.done:
		return false
	}
	return in.w.Write(wire.Frame{Kind: wire.KindStdin, ID: in.id, Body: b}) == nil
}
