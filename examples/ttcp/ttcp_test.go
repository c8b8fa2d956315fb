// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"lazystate/mtcp/keeper"
	"lazystate/mtcp/keeper/keepertest"
)

func TestMain(m *testing.M) { keepertest.Main(m, run) }

const size = 24 << 20 // more than all buffers

// interrupted reads a stream; before is called now and then, but not before its
// first bytes: until then the connection may not be the keeper's yet.
func interrupted(t *testing.T, addr string, before func()) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(keepertest.Hang))
	rng := rand.New(rand.NewPCG(5, 6))
	r, left := readerFunc(nil), 1<<20
	r = func(p []byte) (int, error) {
		if left == 0 {
			before()
			left = 1 + rng.IntN(4<<20)
		}
		n, err := c.Read(p[:min(len(p), left)])
		left -= n
		return n, err
	}
	got, err := check(r)
	if err != nil || got.Bytes != size {
		t.Errorf("%d bytes of %d: %v", got.Bytes, size, err)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestOneProcess(t *testing.T) {
	for _, how := range [][]string{{"--lazy"}, {"--state", "10240"}, {"--export", "0"}} {
		t.Run(strings.Join(how, " "), func(t *testing.T) {
			keepertest.Each(t, func(t *testing.T, interrupt func(*keepertest.Service)) {
				s := keepertest.New(t, keeper.Config{})
				s.Run(append([]string{"serve", "--keeper", s.Socket, "--listen", s.Addr, "--size", fmt.Sprint(size)}, how...)...)
				interrupted(t, s.Addr, func() { interrupt(s) })
			})
		})
	}
}

// Either process is killed; the second takes snapshots, or never does (Figure 2.10).
func TestTwoProcesses(t *testing.T) {
	for _, how := range [][]string{{"--lazy"}, {"--export", "0"}} {
		t.Run(strings.Join(how, " "), func(t *testing.T) {
			s := keepertest.New(t, keeper.Config{})
			args := append([]string{"back", "--keeper", s.Socket, "--size", fmt.Sprint(size)}, how...)
			second := keepertest.Start(t, args...)
			s.Run("serve", "--keeper", s.Socket, "--listen", s.Addr, "--size", fmt.Sprint(size), "--processes", "2", "--lazy")
			n := 0
			interrupted(t, s.Addr, func() {
				if n++; n%2 == 0 {
					s.Process().Kill()
					s.Next()
					return
				}
				second.Kill()
				second = keepertest.Start(t, args...)
			})
		})
	}
}

// Every piece is what the stream is there, wherever it begins.
func TestTableIsTheStream(t *testing.T) {
	for _, pos := range []uint64{0, 1, period - 14, period - 1, period, 7*period - 8} {
		for i, b := range part(pos, mostWrite) {
			if at := pos + uint64(i); b != part(at, 1)[0] {
				t.Fatalf("byte %d is another one in the piece from %d on", at, pos)
			}
		}
	}
}

// The base servers send the same, and the client says so in JSON.
func TestBase(t *testing.T) {
	for _, processes := range []string{"1", "2"} {
		s := keepertest.New(t, keeper.Config{})
		s.Run("serve", "--base", "--listen", s.Addr, "--size", fmt.Sprint(size), "--processes", processes)
		var out, errs bytes.Buffer
		if code := run(context.Background(), []string{"ttcp", "read", s.Addr}, nil, &out, &errs); code != 0 {
			t.Fatalf("code %d: %s", code, errs.String())
		}
		var r result
		if err := json.Unmarshal(out.Bytes(), &r); err != nil || r.Bytes != size || r.KBs <= 0 {
			t.Errorf("%s processes: %+v, %v", processes, r, err)
		}
	}
}

// Table 2.1's server: a snapshot and no data, three channels, both processes killed.
func TestIdle(t *testing.T) {
	s := keepertest.New(t, keeper.Config{})
	keepertest.Start(t, "back", "--keeper", s.Socket)
	s.Run("serve", "--keeper", s.Socket, "--listen", s.Addr, "--processes", "2", "--channels", "3", "--idle", "--state", "10240")
	c, err := net.Dial("tcp", s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	own := c.LocalAddr().(*net.TCPAddr).AddrPort()
	if !s.Keeper.Wait(keepertest.Hang, func(all []keeper.Info) bool { // before, it would die with the first process
		return slices.ContainsFunc(all, func(i keeper.Info) bool { return i.Remote == own })
	}) {
		t.Fatal("the keeper does not get it")
	}
	for range 3 {
		s.Process().Kill()
		s.Next()
	}
	_ = c.SetDeadline(time.Now().Add(keepertest.Hang))
	_ = c.(*net.TCPConn).CloseWrite()
	if n, err := c.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("%d bytes, %v", n, err)
	}
}

// A stream with a wrong byte is not taken for a right one.
func TestCheckSees(t *testing.T) {
	good := append([]byte{}, part(0, 60000)...)
	if r, err := check(bytes.NewReader(good)); err != nil || r.Bytes != 60000 {
		t.Fatal(r, err)
	}
	for _, bad := range [][]byte{good[1:], append(append([]byte{}, good[:30000]...), good[29999:]...)} {
		if _, err := check(bytes.NewReader(bad)); err == nil {
			t.Error("it took a wrong stream")
		}
	}
}
