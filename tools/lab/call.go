// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"syscall"

	"lazystate/tools/lab/wire"
)

// GuestError is guestinit's refusal of a request. It unwraps to the guest's errno.
type GuestError struct {
	Op    wire.Op
	Text  string
	Errno syscall.Errno
}

func (e *GuestError) Error() string { return fmt.Sprintf("guest %s: %s", e.Op, e.Text) }

func (e *GuestError) Unwrap() error {
	if e.Errno == 0 {
		return nil
	}
	return e.Errno
}

func replyError(op wire.Op, r wire.Reply) error {
	if r.Error == "" {
		return nil
	}
	return &GuestError{Op: op, Text: r.Error, Errno: syscall.Errno(r.Errno)}
}

func decodeHello(body []byte) (*wire.Hello, error) {
	h := &wire.Hello{}
	return h, json.Unmarshal(body, h)
}

// queueLimit bounds what one slow reader may pile up: the channel is shared,
// so its reader must never wait for one of them.
const queueLimit = 256 << 20

// frameQueue holds the frames of one id until its consumer takes them.
type frameQueue struct {
	mu     sync.Mutex
	some   sync.Cond
	frames []wire.Frame
	size   int
	err    error
}

func newFrameQueue() *frameQueue {
	q := &frameQueue{}
	q.some.L = &q.mu
	return q
}

func (q *frameQueue) push(f wire.Frame) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.size += len(f.Body); q.size > queueLimit {
		q.err = fmt.Errorf("more than %d MiB of output unread", queueLimit>>20)
	}
	if q.err == nil {
		q.frames = append(q.frames, f)
	}
	q.some.Broadcast()
}

func (q *frameQueue) end(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.err == nil {
		q.err = err
	}
	q.some.Broadcast()
}

// pop waits for a frame; frames that came before the end are still given.
func (q *frameQueue) pop() (wire.Frame, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.frames) == 0 && q.err == nil {
		q.some.Wait()
	}
	if len(q.frames) == 0 {
		return wire.Frame{}, q.err
	}
	f := q.frames[0]
	q.frames = q.frames[1:]
	q.size -= len(f.Body)
	return f, nil
}

// consume hands the frames out until the reply.
func (q *frameQueue) consume(in *input, stdout, stderr io.Writer) (wire.Reply, error) {
	for {
		f, err := q.pop()
		if err != nil {
			return wire.Reply{}, err
		}
		switch f.Kind {
		case wire.KindStdout:
			_, err = stdout.Write(f.Body)
		case wire.KindStderr:
			_, err = stderr.Write(f.Body)
		case wire.KindCredit:
			in.credit()
		case wire.KindReply:
			var r wire.Reply
			err := json.Unmarshal(f.Body, &r)
			return r, err
		}
		if err != nil {
			return wire.Reply{}, err
		}
	}
}
