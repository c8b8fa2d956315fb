// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"bytes"
	"errors"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lazystate/mtcp/keeper"
	"lazystate/mtcp/tcprepair"
	"lazystate/tools/lab"
)

// A session that moves with its address, as far as each costs both servers something
// (§2.7.1): S1 freezes and dumps it and is silent; S2 makes its box and its socket, has
// them held, and lets it live. Both are this process here, and the client is: address,
// network and the processes of the service cost nothing.
func BenchmarkHandOver(b *testing.B) {
	stack, err := tcprepair.Open()
	if errors.Is(err, tcprepair.ErrPermission) {
		lab.Skip(b, err.Error())
	}
	if err != nil {
		b.Fatal(err)
	}
	defer stack.Close()
	const sessions = 100
	var servers [2]*Mover
	for i := range servers {
		m := lone(b)
		path := keeping(b, m)
		m.cfg.Stack, m.cfg.Limits = stack, Limits{defaultQueues, defaultBox}
		m.cfg.Escrow, _ = held(b, filepath.Join(b.TempDir(), "e"))
		if servers[i] = m; i > 0 {
			continue
		}
		for range sessions {
			if err := accepted(b, path).Export(make([]byte, 1<<10)); err != nil {
				b.Fatal(err)
			}
		}
	}
	at, moves, begun := 0, 0, used(b)
	for b.Loop() {
		wire, err := leaves(servers[at])
		if err == nil {
			at = 1 - at
			err = comes(servers[at], wire)
		}
		if n := servers[at].cfg.Keeper.Count(); err == nil && n != sessions {
			b.Fatalf("%d sessions of %d", n, sessions)
		}
		if err != nil {
			b.Fatal(err)
		}
		moves += sessions
	}
	b.ReportMetric(float64((used(b)-begun).Nanoseconds())/1e3/float64(moves), "cpu-us/session")
	b.ReportMetric(0, "ns/op") // of all of them: no use to anybody
}

// used is the processor time of this process.
func used(b *testing.B) time.Duration {
	b.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// leaves is S1's part.
func leaves(m *Mover) (wire []byte, err error) {
	var captured []*Captured
	var helds []*keeper.Held
	for _, i := range m.cfg.Keeper.Sessions() {
		held, err := m.cfg.Keeper.Hold(i.ID, time.Second)
		if err != nil {
			return nil, err
		}
		c, err := Capture(held, m.cfg.Stack, nil)
		if err != nil {
			return nil, err
		}
		captured, helds = append(captured, c), append(helds, held)
		wire = appendPart(wire, ID{}, &c.State)
	}
	for _, c := range captured {
		if err := c.silence(); err != nil {
			return nil, err
		}
	}
	m.cfg.Keeper.Depart(helds...)
	return wire, nil
}

// comes is S2's.
func comes(m *Mover, wire []byte) error {
	var all []*Coming
	for r := bytes.NewReader(wire); ; {
		f, err := readFrame(r, mostFrame)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		s, err := ParseState(f.body)
		if err != nil {
			return err
		}
		c, err := Prepare(s, m.cfg.Limits, netip.AddrPort{}, netip.AddrPort{})
		if err != nil {
			return err
		}
		if err := c.Reserve(m.cfg.Keeper, uint32(os.Getuid())); err != nil {
			return err
		}
		all = append(all, c)
	}
	for _, c := range all {
		if err := c.Restore(m.cfg.Stack, false); err != nil {
			return err
		}
	}
	id := newID()
	m.entrust(all, nil, func(c *Coming) entrusted { return entrusted{Move: id[:], UID: c.UID, Cert: c.Cert} })
	for _, c := range all {
		if err := c.Live(nil); err != nil {
			return err
		}
	}
	return nil
}
