// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"lazystate/tools/testbed"
)

// client is one connection, and how it fares.
type client struct {
	what string
	at   netip.AddrPort // its server
	http *http.Client

	mu    sync.Mutex
	last  time.Time // something came
	waits []wait    // longer than silence
	dials int
	count int64 // bytes, or bids
}

// wait is a pause, and when it was over.
type wait struct {
	over time.Time
	long time.Duration
}

// newClient has one connection and no other: with a second one it was not salvaged.
func newClient(what string, from *testbed.Client, at netip.AddrPort) *client {
	c := &client{what: what, at: at}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		c.mu.Lock()
		c.dials++
		c.mu.Unlock()
		return from.Dial(ctx, at)
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
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.at.String()+path, nil)
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

// bids outbids itself again and again until it is told to stop. Each of its bids is the
// auction's next one: none is missing, and none was made twice.
func (c *client) bids(ctx context.Context, stop <-chan struct{}) error {
	user, item, err := c.offers(ctx)
	for n := 1; err == nil; n++ {
		var made struct {
			Bids int `json:"bids"`
		}
		err = c.post(ctx, "bid", url.Values{"user": {user}, "item": {item}, "amount": {fmt.Sprint(price + n)}}, &made)
		if err == nil && made.Bids != n {
			err = fmt.Errorf("bid %d is the auction's %d", n, made.Bids)
		}
		if err != nil {
			break
		}
		c.heard(1)
		select {
		case <-stop:
			return c.end(nil)
		case <-time.After(5 * time.Millisecond):
		}
	}
	return c.end(err)
}

const price = 100 // cents

// offers registers somebody, and has an auction begin.
func (c *client) offers(ctx context.Context) (user, item string, err error) {
	var who struct {
		User int64 `json:"user"`
	}
	var what struct {
		Item int64 `json:"item"`
	}
	err = c.post(ctx, "register", url.Values{"nickname": {"demo"}}, &who)
	user = fmt.Sprint(who.User)
	if err == nil {
		err = c.post(ctx, "sell", url.Values{"user": {user}, "category": {"1"}, "price": {fmt.Sprint(price)}, "seconds": {"3600"}, "name": {"a pen"}}, &what)
	}
	return user, fmt.Sprint(what.Item), err
}

// post asks the auction for something, and fills result.
func (c *client) post(ctx context.Context, kind string, args url.Values, result any) error {
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+c.at.String()+"/api/"+kind, strings.NewReader(args.Encode()))
	if err != nil {
		return err
	}
	q.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r, err := c.http.Do(q)
	if err != nil {
		return err
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	var reply struct {
		Result json.RawMessage `json:"result"`
	}
	if err := json.Unmarshal(text, &reply); err != nil || reply.Result == nil {
		return fmt.Errorf("%s: %s: %s", kind, r.Status, text)
	}
	return json.Unmarshal(reply.Result, result)
}
