// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"lazystate/bench/soaktest"
)

// Sessions that move at random, by all three ways at once, and every byte of
// every one of them is verified at both ends. LAZYSTATE_SOAK=1 is 10,000 moves
// (§2.5.2: any number of times), of which it leaves a record; SCD_SEED repeats a run,
// SCD_MOVES has it end sooner, without one.
func TestRandomMoves(t *testing.T) {
	want, seed := 40, uint64(1)
	if os.Getenv("LAZYSTATE_SOAK") != "" {
		want, seed = 10_000, rand.Uint64()
	}
	whole := want
	for name, v := range map[string]func(n uint64){"SCD_MOVES": func(n uint64) { want = int(n) }, "SCD_SEED": func(n uint64) { seed = n }} {
		if n, err := strconv.ParseUint(os.Getenv(name), 10, 64); err == nil {
			v(n)
		}
	}
	book := soaktest.New(t, "../../bench/results/soak-moves.json", seed, whole)
	t.Logf("%d moves, seed %d", want, seed)
	w := newGated(t)
	w.agent("--patience", "20s")
	for _, a := range soakClients {
		w.client.Addr(a.String() + "/24")
	}
	s := &soak{w: w, rnd: rand.New(rand.NewPCG(seed, 0)), moves: map[string]int{}, failed: map[string]int{}}
	ctx, stop := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	for way := range soakClients {
		for i := range 2 {
			rnd := rand.New(rand.NewPCG(seed, uint64(1+i)+uint64(len(way))<<8))
			clients.Go(func() { s.client(ctx, way, rnd) })
		}
	}
	for last := time.Now(); s.total < want && !t.Failed(); {
		if s.step() {
			last = time.Now()
		} else if time.Since(last) > hang {
			t.Fatalf("nothing moves any more: %v, failed %v", s.moves, s.failed)
		}
		if s.total%1000 == 0 && s.total > 0 {
			t.Logf("%d moves, %d transfers, %d bytes", s.total, s.transfers.Load(), s.bytes.Load())
		}
	}
	stop()
	clients.Wait()
	book.Runs = s.total
	book.Add("transfers", int(s.transfers.Load()))
	book.Add("MiB", int(s.bytes.Load()>>20))
	for way := range soakClients {
		book.Add("moves by "+way, s.moves[way])
		book.Add("did not take place, by "+way, s.failed[way])
		if s.moves[way] == 0 {
			t.Errorf("no move by %s", way)
		}
	}
}

// soakClients tell by their address how a session may move: nobody else has a
// part in it then.
var soakClients = map[string]netip.Addr{
	"client": netip.MustParseAddr("10.8.0.21"), "gateway": netip.MustParseAddr("10.8.0.22"), "takeover": netip.MustParseAddr("10.8.0.23"),
}

type soak struct {
	w         *world
	rnd       *rand.Rand
	total     int
	moves     map[string]int
	failed    map[string]int
	transfers atomic.Int64
	bytes     atomic.Int64
}

// step tries one move: false is none.
func (s *soak) step() bool {
	at := s.w.sites[s.w.names[s.rnd.IntN(2)]]
	all := at.ls()
	if len(all) == 0 {
		time.Sleep(time.Millisecond)
		return false
	}
	v := all[s.rnd.IntN(len(all))]
	way := ""
	for name, a := range soakClients {
		if r, err := netip.ParseAddrPort(v.Remote); err == nil && r.Addr().Unmap() == a {
			way = name
		}
	}
	what := v.ID
	if way == "takeover" {
		what = s.w.addr.String()
	}
	if err := at.ctl("move", "--by", way, "--to", s.w.other(at), what); err != nil {
		s.failed[way]++ // it may have ended just now
		s.w.t.Logf("%s: %v", way, err)
		return false
	}
	s.moves[way]++
	s.total++
	time.Sleep(time.Duration(s.rnd.IntN(20)) * time.Millisecond)
	return true
}

// client makes one transfer after another.
func (s *soak) client(ctx context.Context, way string, rnd *rand.Rand) {
	for ctx.Err() == nil {
		n := int64(rnd.IntN(4 << 20))
		up := rnd.IntN(2) == 0
		if err := s.transfer(way, up, n, rnd); err != nil {
			s.w.t.Errorf("%s, upload %t, %d bytes: %v", way, up, n, err)
			return
		}
		s.transfers.Add(1)
		s.bytes.Add(n)
	}
}

func (s *soak) transfer(way string, up bool, n int64, rnd *rand.Rand) error {
	server := own(rnd.IntN(2), false)
	if way == "takeover" {
		server = netip.AddrPortFrom(s.w.addr, port)
	}
	var c net.Conn
	s.w.client.Do(func() (err error) {
		d := net.Dialer{Timeout: hang, LocalAddr: &net.TCPAddr{IP: soakClients[way].AsSlice()}}
		c, err = d.DialContext(s.w.t.Context(), "tcp", server.String())
		return err
	})
	defer c.Close()
	// What fits into the kernel is over at the server at once.
	if err := errors.Join(c.(*net.TCPConn).SetReadBuffer(1<<16), c.SetDeadline(time.Now().Add(hang))); err != nil {
		return err
	}
	if up {
		return put(c, n, rnd)
	}
	return get(c, n, rnd)
}

func put(c net.Conn, n int64, rnd *rand.Rand) error {
	if _, err := fmt.Fprintf(c, "PUT /x HTTP/1.1\r\nContent-Length: %d\r\n\r\n", n); err != nil {
		return err
	}
	b := make([]byte, 1<<16)
	for off := int64(0); off < n; {
		p := b[:min(n-off, 1+rnd.Int64N(int64(len(b))))]
		pattern(p, off)
		if _, err := c.Write(p); err != nil {
			return err
		}
		off += int64(len(p))
		time.Sleep(time.Duration(rnd.IntN(5)) * time.Millisecond)
	}
	answer, err := io.ReadAll(c)
	if err != nil {
		return err
	}
	_, sum, _ := bytes.Cut(answer, []byte("\r\n\r\n"))
	if string(sum) != patternSum(n) {
		return fmt.Errorf("the server has got other bytes: %q", answer)
	}
	return nil
}

func get(c net.Conn, n int64, rnd *rand.Rand) error {
	if _, err := fmt.Fprintf(c, "GET /%d HTTP/1.1\r\n\r\n", n); err != nil {
		return err
	}
	var head strings.Builder
	for b := make([]byte, 1); !strings.HasSuffix(head.String(), "\r\n\r\n"); head.Write(b) {
		if _, err := io.ReadFull(c, b); err != nil {
			return err
		}
	}
	sum := sha256.New()
	var got int64
	for {
		k, err := io.CopyN(sum, c, 1+rnd.Int64N(1<<16))
		got += k
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		time.Sleep(time.Duration(rnd.IntN(5)) * time.Millisecond)
	}
	if got != n || hex.EncodeToString(sum.Sum(nil)) != patternSum(n) {
		return fmt.Errorf("%d bytes have come, or others", got)
	}
	return nil
}
