// SPDX-License-Identifier: Apache-2.0

package verbstest

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"testing"
	"time"

	"lazystate/verbs"
	"lazystate/verbs/driver"
	"lazystate/verbs/verbstest/proxy"
)

// Pair is two devices that can talk to each other.
type Pair struct {
	// Open opens both ends. They may be one device opened twice, or the same
	// value twice. The suite closes them.
	Open func(t *testing.T) (a, b driver.Device)

	// Lossy: the network between them loses messages.
	Lossy bool
	// MaxSize is the largest message that is tried: 0 is 8 MiB, or what the
	// ports allow if that is less.
	MaxSize int
	// Vanish takes b off the network so that a is told nothing (its process
	// dies, its link is cut). b is not used any more, but for Close. nil: there
	// is no way.
	Vanish func(t *testing.T, b driver.Device)
	// Otherwise maps cases of testdata/refusals to what this pair may leave behind
	// instead: RXEAsks, RXEAnswers.
	Otherwise map[string][]string
	// Slow: an emulated machine on a busy host. Races are looked for in fewer rounds.
	Slow bool
	// Sample is a seed: of the sizes only a quarter, which it draws, and of what is
	// done many times a part are tried. 0: all.
	Sample uint64
	// Only is the one part that is run, by its name in Run. "": all.
	Only string
	// WideWindows: b looks at a window's key and not at its bounds, as rxe does.
	WideWindows bool
	// SilentRefusals: b raises no event when it refuses its peer, as rxe does not.
	SilentRefusals bool
	// Listen is the address of b that a can dial; the zero value is what b's
	// chosen GID says. Its port 0 is a free one.
	Listen netip.AddrPort
}

// Run runs the suite over p.
func Run(t *testing.T, p Pair) {
	for _, c := range []struct {
		name string
		run  func(*testing.T, *bench)
	}{
		{"Attr", testAttr},
		{"Lacks", testLacks},
		{"Sizes", testSizes},
		{"Inline", testInline},
		{"Pieces", testPieces},
		{"Addresses", testAddresses},
		{"Mapped", testMapped},
		{"Refusals", testRefusals},
		{"Posts", testPosts},
		{"RNR", testRNR},
		{"PSNWrap", testPSNWrap},
		{"NobodyThere", testNobodyThere},
		{"PeerVanishes", testPeerVanishes},
		{"Flush", testFlush},
		{"InFlight", testInFlight},
		{"ManyQPs", testManyQPs},
		{"Atomics", testAtomics},
		{"Fence", testFence},
		{"Close", testClose},
		{"Channel", testChannel},
		{"SRQ", testSRQ},
		{"AsyncEvents", testAsyncEvents},
		{"Windows", testWindows},
		{"Handler", testHandler},
		{"Gate", testGate},
		{"CM", testCM},
		{"UD", testUD},
	} {
		if p.Only != "" && p.Only != c.name {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, p)
			c.run(t, b)
		})
	}
}

// Main runs the tests of a package and fails if an object of package verbs is
// left open: put it into TestMain. It also is the other process of package proxy.
func Main(m *testing.M) { os.Exit(Check(m.Run)) }

// Check is Main around another run of the tests than m.Run; it returns the exit code.
func Check(run func() int) int {
	proxy.ServeIfAsked()
	verbs.TraceLeaks()
	code := run()
	for _, l := range verbs.Leaks() {
		fmt.Fprintln(os.Stderr, "LEAK:", l)
		code = max(code, 1)
	}
	return code
}

// patience bounds what would hang otherwise; it decides nothing else.
const patience = 2 * time.Minute

var errPatience = errors.New("nothing has happened for 2 minutes")

// bench is an open pair.
type bench struct {
	Pair
	a, b *verbs.Device
	ctx  context.Context // ends when nothing has happened for long
	dog  *time.Timer
}

// alive says that something has happened.
func (b *bench) alive() { b.dog.Reset(patience) }

func newBench(t *testing.T, p Pair) *bench {
	t.Helper()
	da, db := p.Open(t)
	b := &bench{Pair: p, a: verbs.New(da)}
	if b.b = b.a; db != da {
		b.b = verbs.New(db)
	}
	t.Cleanup(func() {
		closeAll(t, b.a, b.b)
	})
	ctx, cancel := context.WithCancelCause(t.Context())
	b.ctx, b.dog = ctx, time.AfterFunc(patience, func() { cancel(errPatience) })
	t.Cleanup(func() { b.dog.Stop(); cancel(nil) })
	return b
}

type closer interface{ Close() error }

func closeAll(t *testing.T, cs ...closer) {
	t.Helper()
	for _, c := range cs {
		if err := c.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
}

// need skips what a device does not have.
func (b *bench) need(t *testing.T, c verbs.Caps, what string) {
	t.Helper()
	for _, d := range []*verbs.Device{b.a, b.b} {
		if !d.Has(c) {
			t.Skipf("%v has no %s", d, what)
		}
	}
}

func (b *bench) maxSize(t *testing.T) int {
	t.Helper()
	size := 8 << 20
	if b.MaxSize > 0 {
		size = b.MaxSize
	}
	for _, d := range []*verbs.Device{b.a, b.b} {
		if m := int(d.Attr().MaxMsgSize); m > 0 {
			size = min(size, m)
		}
	}
	return size
}
