// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"lazystate/tools/testbed"
)

// client is one connection, and how it fares.
type client struct {
	what string
	http *http.Client

	mu    sync.Mutex
	last  time.Time // something came
	waits []wait    // longer than silence
	dials int
	count int64 // bytes, or answers
}

// wait is a pause, and when it was over.
type wait struct {
	over time.Time
	long time.Duration
}

// newClient has one connection and no other: with a second one it was not salvaged.
func newClient(what string, from *testbed.Client) *client {
	c := &client{what: what}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		c.mu.Lock()
		c.dials++
		c.mu.Unlock()
		return from.Dial(ctx, service)
	}
	c.http = &http.Client{Transport: &http.Transport{DialContext: dial, MaxConnsPerHost: 1}}
	return c
}

// silence is what a pause is worth a line of the time line from.
const silence = 20 * time.Millisecond

// heard notes that n of what the client waits for have come.
func (c *client) heard(n int64) {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if long := now.Sub(c.last); !c.last.IsZero() && long > silence {
		c.waits = append(c.waits, wait{now, long})
	}
	c.last, c.count = now, c.count+n
}

// worst is the longest wait that was over behind at.
func (c *client) worst(at time.Time) (w wait) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, x := range c.waits {
		if x.over.After(at) && x.long > w.long {
			w = x
		}
	}
	return w
}

func (c *client) has() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.count
}

// end says what became of it.
func (c *client) end(err error) error {
	c.http.CloseIdleConnections()
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil && c.dials != 1 {
		err = fmt.Errorf("it has connected %d times", c.dials)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", c.what, err)
	}
	return nil
}

func (c *client) get(ctx context.Context, path string) (io.ReadCloser, error) {
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+service.String()+path, nil)
	if err != nil {
		return nil, err
	}
	r, err := c.http.Do(q)
	if err != nil {
		return nil, err
	}
	if r.StatusCode != http.StatusOK {
		return nil, errors.Join(errors.New(r.Status), r.Body.Close())
	}
	return r.Body, nil
}

// download takes the file at a rate, and compares it.
func (c *client) download(ctx context.Context, rate int, want string) error {
	body, err := c.get(ctx, "/file")
	if err != nil {
		return c.end(err)
	}
	defer body.Close()
	sum, b, began := sha256.New(), make([]byte, 16<<10), time.Now()
	for {
		n, err := body.Read(b)
		sum.Write(b[:n])
		c.heard(int64(n))
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return c.end(err)
		}
		time.Sleep(time.Until(began.Add(time.Duration(float64(c.has()) / float64(rate) * float64(time.Second)))))
	}
	if hex.EncodeToString(sum.Sum(nil)) != want {
		return c.end(errors.New("it is another file"))
	}
	return c.end(nil)
}

// asks again and again until it is told to stop; each question has one answer.
func (c *client) asks(ctx context.Context, stop <-chan struct{}) error {
	for {
		body, err := c.get(ctx, "/lottery")
		if err != nil {
			return c.end(err)
		}
		answer, err := io.ReadAll(body)
		if err = errors.Join(err, body.Close()); err != nil {
			return c.end(err)
		}
		if len(answer) == 0 {
			return c.end(errors.New("an empty answer"))
		}
		c.heard(1)
		select {
		case <-stop:
			return c.end(nil)
		case <-time.After(5 * time.Millisecond):
		}
	}
}
