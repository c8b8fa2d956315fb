// SPDX-License-Identifier: Apache-2.0

package testbed

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"os"
	"testing"
	"time"

	"lazystate/internal/netrig"
	"lazystate/mtcp/steer"
	"lazystate/tools/lab"
)

func TestMain(m *testing.M) {
	code := m.Run()
	Done()
	os.Exit(code)
}

func run(t *testing.T, cfg Config, f func(ctx context.Context, b *Bed) error) error {
	t.Helper()
	if err := errors.Join(netrig.Usable(), steer.Probe()); err != nil {
		lab.Skip(t, err.Error())
	}
	if _, err := programs(); err != nil { // which takes as long as it takes
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	return Run(ctx, cfg, func(b *Bed) error { return f(ctx, b) })
}

// A session goes to the other server and back by each of the two ways, and the
// daemons tell how long it took.
func TestBed(t *testing.T) {
	err := run(t, Config{Service: "ttcp", Clients: []Link{{Agent: true}, {Bits: 100e6}}}, func(ctx context.Context, b *Bed) error {
		if _, err := b.Serve(ctx, "ttcp", "serve", "--keeper", "KEEPER", "--listen", "[::]:PORT", "--idle"); err != nil {
			return err
		}
		own, err := b.Clients[0].Dial(ctx, b.S1.Addr)
		if err != nil {
			return err
		}
		defer own.Close()
		shared, err := b.Clients[1].Dial(ctx, netip.AddrPortFrom(Shared, Port))
		if err != nil {
			return err
		}
		defer shared.Close()
		if err := b.S1.Settled(ctx, 2); err != nil {
			return err
		}
		for _, to := range []*Site{b.S2, b.S1} {
			if err := b.Clients[0].Move(ctx, Flow(own), to.Addr); err != nil {
				return err
			}
		}
		m, err := b.S1.Takeover(ctx, b.S2)
		if err != nil || m.Sessions != 1 || m.FrozenUs <= 0 {
			t.Errorf("takeover: %+v, %v", m, err)
		}
		phases, err := b.Phases(ctx, b.Clients[0], 2)
		for _, p := range phases {
			// Each of these has the next within it; a session may have to wait before it is frozen.
			if p.Fetched > p.Waited || p.Prepared > p.Fetched || p.Prepared <= 0 || p.Frozen <= 0 {
				t.Errorf("%+v", p)
			}
		}
		used, e := b.S1.SCD.CPU()
		if used <= 0 {
			t.Errorf("the daemon has used no processor: %v", e)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A limited link is about as slow as it should be.
func TestLimit(t *testing.T) {
	const size, mbit = 4 << 20, 50
	err := run(t, Config{Service: "ttcp", Clients: []Link{{Bits: mbit * 1e6}}}, func(ctx context.Context, b *Bed) error {
		if _, err := b.Serve(ctx, "ttcp", "serve", "--base", "--listen", "[::]:PORT", "--size", "4194304"); err != nil {
			return err
		}
		start := time.Now() // the server sends once it is connected, whether we run or not
		conn, err := b.Clients[0].Dial(ctx, b.S1.Addr)
		if err != nil {
			return err
		}
		defer conn.Close()
		n, err := io.Copy(io.Discard, conn)
		if least := size * 8 * time.Second / (mbit * 1e6) * 9 / 10; n != size || time.Since(start) < least {
			t.Errorf("%d bytes in %v, at least %v were expected", n, time.Since(start), least)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// What a rig says as to a test is an error here, and the machines are gone.
func TestFailure(t *testing.T) {
	err := run(t, Config{Service: "ttcp"}, func(_ context.Context, b *Bed) error {
		b.S1.Do(func() error { return io.ErrUnexpectedEOF })
		t.Error("it goes on")
		return nil
	})
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
}
