// SPDX-License-Identifier: Apache-2.0

package load

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// serve answers as an auction does that has what is asked for; wrong may change that.
func serve(t *testing.T, wrong func(kind string, result map[string]any)) *Load {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		kind := strings.TrimPrefix(r.URL.Path, "/api/")
		result := map[string]any{"bid": 1, "item": 1, "comment": 1, "user": 1, "id": 1}
		for _, name := range []string{"item", "user", "amount", "about", "nickname"} {
			if v := r.FormValue(name); v != "" {
				result[name] = json.Number(v)
				if name == "nickname" {
					result[name] = v
				}
			}
		}
		result["bidder"] = result["user"]
		if kind == "item" {
			result["id"] = result["item"]
		}
		wrong(kind, result)
		var out any = result
		if kind == "categories" || kind == "list" {
			out = []int{1, 2}
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"result": out})
	}))
	t.Cleanup(srv.Close)
	return &Load{
		Dial: func(ctx context.Context) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", srv.Listener.Addr().String())
		},
		Clients: 3, Mix: Mix{"categories": 1, "list": 1, "item": 1, "user": 1, "bid": 1, "comment": 1, "sell": 1, "register": 1},
		Think: 0.0005, Visit: 4, Size: Size{2, 9, 9}, Seed: 1, Name: "x", Reply: time.Minute,
	}
}

// until has clients ask until so many requests have ended.
func until(t *testing.T, l *Load, n int) []Event {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	go func() {
		for l.Ended() < n && ctx.Err() == nil {
			time.Sleep(time.Millisecond)
		}
		stop()
	}()
	return l.Run(ctx)
}

// All kinds are asked for, over several connections, and no key is there twice.
func TestRun(t *testing.T) {
	l := serve(t, func(string, map[string]any) {})
	events := until(t, l, 200)
	if l.Met() != l.Clients || l.Open() != 0 || l.Ended() != len(events) {
		t.Errorf("%d clients met, %d requests open, %d of %d ended", l.Met(), l.Open(), l.Ended(), len(events))
	}
	kinds, keys, connected := map[string]int{}, map[string]bool{}, 0
	for _, e := range events {
		kinds[e.Kind]++
		if e.Err != nil || e.Bytes == 0 || e.First.Before(e.Sent) || e.Done.Before(e.First) {
			t.Errorf("%+v", e)
		}
		if e.Key != "" && keys[e.Key] {
			t.Errorf("%q is said twice", e.Key)
		}
		keys[e.Key] = true
		if e.Connected {
			connected++
		}
	}
	if len(kinds) != 8 || connected < 4 || connected == len(events) {
		t.Errorf("%d requests, over %d connections: %v", len(events), connected, kinds)
	}
}

// New requests are made for so long, and no longer.
func TestFor(t *testing.T) {
	l := serve(t, func(string, map[string]any) {})
	l.For = 50 * time.Millisecond
	began := time.Now()
	if l.Run(t.Context()); time.Since(began) < l.For {
		t.Errorf("it has ended after %v", time.Since(began))
	}
}

// A reply to another request is an error, whatever the kind.
func TestWrongReplies(t *testing.T) {
	for kind, member := range map[string]string{"item": "id", "user": "user", "bid": "amount", "comment": "about", "sell": "item", "register": "nickname"} {
		t.Run(kind, func(t *testing.T) {
			l := serve(t, func(k string, result map[string]any) { result[member] = -1 })
			l.Mix = Mix{kind: 1}
			for _, e := range until(t, l, 3) {
				if e.Err == nil {
					t.Errorf("%+v", e)
				}
			}
		})
	}
}

// The think time of TPC-W: a mean of 7 s, less what is cut at 70 s; and the normal one
// of Figure 3.11.
func TestPaperThinkTime(t *testing.T) {
	for normal, longest := range map[bool]time.Duration{false: 70 * time.Second, true: 25 * time.Second} {
		l, rng := &Load{Think: 1, Normal: normal}, rand.New(rand.NewPCG(1, 2))
		var sum, most time.Duration
		const n = 100_000
		for range n {
			d := l.think(rng)
			sum, most = sum+d, max(most, d)
		}
		if mean := sum / n; mean < 6900*time.Millisecond || mean > 7100*time.Millisecond || most > longest {
			t.Errorf("normal: %v: a mean of %v, at most %v", normal, mean, most)
		}
	}
}

// A seed means the same requests.
func TestSeed(t *testing.T) {
	drawn := func() (out string) {
		c := &client{l: &Load{Size: Size{2, 9, 9}, Name: "x"}, rng: rand.New(rand.NewPCG(7, 0))}
		for range 50 {
			q := Bidding.draw(c)
			out += fmt.Sprintln(q.kind, q.args.Encode())
		}
		return out
	}
	if a, b := drawn(), drawn(); a != b {
		t.Errorf("%s\n%s", a, b)
	}
}
