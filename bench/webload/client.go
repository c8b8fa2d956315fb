// SPDX-License-Identifier: Apache-2.0

package webload

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"lazystate/tools/testbed"
)

// Arg is the first argument of a process that is the load.
const Arg = "webload"

// Main is the load, if this process is one; it does not return then.
func Main() {
	testbed.Child(Arg, func(s Spec) Outcome { return (&load{Spec: s}).run() })
}

// load is one client machine's.
type load struct {
	Spec
	mu  sync.Mutex
	out Outcome
}

// run asks at random moments, for random files.
func (l *load) run() Outcome {
	rng := rand.New(rand.NewPCG(l.Seed, 1))
	var wg sync.WaitGroup
	start := time.Now()
	for at := time.Duration(0); ; {
		at += time.Duration(rng.ExpFloat64() / l.Rate * 1e9)
		if at > l.For {
			break
		}
		file := rng.IntN(len(l.Files))
		time.Sleep(time.Until(start.Add(at)))
		wg.Go(func() { l.one(file) })
	}
	wg.Wait()
	return l.out
}

func (l *load) one(file int) {
	start := time.Now()
	ctx, cancel := context.WithDeadline(context.Background(), start.Add(l.Deadline))
	defer cancel()
	moves, refused, err := l.get(ctx, start, file)
	took := time.Since(start)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.out.Requests++
	l.out.All = append(l.out.All, l.Files[file])
	l.out.Moved += moves
	l.out.Refused += refused
	if moves > 0 {
		l.out.Away = append(l.out.Away, l.Files[file])
	}
	if err == nil {
		l.out.Done++
		l.out.Millis = append(l.out.Millis, took.Seconds()*1e3)
	}
}

func (l *load) get(ctx context.Context, start time.Time, file int) (moves, refused int, err error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", l.Server.String())
	if err != nil {
		return 0, 0, err
	}
	defer conn.Close()
	until, _ := ctx.Deadline()
	_ = conn.SetDeadline(until)
	mctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		moves, refused = l.move(mctx, start, testbed.Flow(conn))
		close(ended)
	}()
	_, err = fmt.Fprintf(conn, "GET /%s HTTP/1.1\r\nHost: server\r\nConnection: close\r\n\r\n", name(file))
	if err == nil {
		err = whole(conn, l.Files[file])
	}
	cancel()
	<-ended
	return moves, refused, err
}

// move waits until the client has had enough, and tries until it succeeds.
func (l *load) move(ctx context.Context, start time.Time, flow string) (moves, refused int) {
	if l.MoveAt == 0 {
		return 0, 0
	}
	for wait := time.Until(start.Add(l.MoveAt)); ; wait = time.Second {
		select {
		case <-ctx.Done():
			return 0, refused
		case <-time.After(wait):
		}
		if testbed.Move(ctx, l.Agent, flow, l.Other) == nil {
			return 1, refused
		}
		if ctx.Err() == nil {
			refused++
		}
	}
}

// whole reads a response to its end and wants n bytes of body.
func whole(r io.Reader, n int) error {
	var head []byte
	body := 0
	for b := make([]byte, 16<<10); ; {
		k, err := r.Read(b)
		if body == 0 && !bytes.Contains(head, end) {
			head = append(head, b[:k]...)
			if i := bytes.Index(head, end); i >= 0 {
				body = len(head) - i - len(end)
			}
		} else {
			body += k
		}
		switch {
		case err == io.EOF && body == n && bytes.HasPrefix(head, []byte("HTTP/1.1 200 ")):
			return nil
		case err == io.EOF:
			return errors.New("another response")
		case err != nil:
			return err
		}
	}
}

var end = []byte("\r\n\r\n")
