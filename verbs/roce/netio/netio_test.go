// SPDX-License-Identifier: Apache-2.0

package netio

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		check(t, err)
		return v
	}
}

// network opens two ports that reach each other.
type network func(t *testing.T) (a, b Port)

func udpNetwork(a, b string, o UDPOptions) network {
	return func(t *testing.T) (Port, Port) {
		pa := must[Port](t)(ListenUDP(netip.MustParseAddrPort(a), o))
		pb := must[Port](t)(ListenUDP(netip.MustParseAddrPort(b), o))
		return pa, pb
	}
}

func hubNetwork(t *testing.T) (Port, Port) {
	h := &Hub{}
	a := must[Port](t)(h.Port(netip.MustParseAddrPort("10.0.0.1:4791"), true))
	b := must[Port](t)(h.Port(netip.MustParseAddrPort("10.0.0.2:4791"), true))
	return a, b
}

// every in-memory and real port does what a Port does.
func everyPort(t *testing.T, f func(t *testing.T, a, b Port)) {
	for name, n := range map[string]network{
		"udp4":       udpNetwork("127.0.0.1:0", "127.0.0.2:0", UDPOptions{}),
		"udp6":       udpNetwork("[::1]:0", "[::1]:0", UDPOptions{}),
		"udp4 plain": udpNetwork("127.0.0.1:0", "127.0.0.2:0", UDPOptions{NoGSO: true, NoGRO: true}),
		"hub":        hubNetwork,
	} {
		t.Run(name, func(t *testing.T) {
			a, b := n(t)
			defer func() { check(t, a.Close()); check(t, b.Close()) }()
			f(t, a, b)
		})
	}
}

// collect receives until n packets have come.
func collect(t *testing.T, p Port, n int) [][]byte {
	t.Helper()
	var all [][]byte
	var ds [8]Datagram
	for len(all) < n {
		readable(t, p)
		k, err := p.Recv(ds[:])
		check(t, err)
		for i := range k {
			for pkt := range ds[i].Packets() {
				all = append(all, bytes.Clone(pkt))
			}
		}
	}
	return all
}

func readable(t *testing.T, p Port) {
	t.Helper()
	fds := []unix.PollFd{{Fd: int32(p.FD()), Events: unix.POLLIN}}
	for {
		switch n, err := unix.Poll(fds, 60_000); {
		case n > 0:
			return
		case err == nil:
			t.Fatal("nothing came")
		case !errors.Is(err, unix.EINTR):
			t.Fatal(err)
		}
	}
}

func pattern(n, seed int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + seed)
	}
	return b
}

func TestPacketsAndTrains(t *testing.T) {
	everyPort(t, func(t *testing.T, a, b Port) {
		var ds [4]Datagram
		if n, err := b.Recv(ds[:]); n != 0 || err != nil {
			t.Errorf("of nothing came %d, %v", n, err)
		}
		send := []Datagram{{Peer: b.Local(), Data: pattern(1, 1)}, {Peer: b.Local(), Data: pattern(4140, 2)}}
		want := [][]byte{send[0].Data, send[1].Data}
		if c := a.Caps(); c.TrainLen > 1 {
			train := Datagram{Peer: b.Local(), Data: pattern(9*1000+17, 3), Segment: 1000}
			send = append(send, train)
			for pkt := range train.Packets() {
				want = append(want, pkt)
			}
			if len(want) != 12 {
				t.Fatalf("%d packets in the train", len(want)-2)
			}
		}
		n, err := a.Send(send)
		if n != len(send) || err != nil {
			t.Fatalf("sent %d, %v", n, err)
		}
		for i, pkt := range collect(t, b, len(want)) {
			if !bytes.Equal(pkt, want[i]) {
				t.Errorf("packet %d has %d bytes, want %d, or others", i, len(pkt), len(want[i]))
			}
		}
		if s, r := a.Stats(), b.Stats(); s.SentPackets != uint64(len(want)) || r.RecvPackets != uint64(len(want)) || s.SendErrors != 0 {
			t.Errorf("sent %+v, received %+v", s, r)
		}
	})
}

func TestAnswersGoToWhoAsked(t *testing.T) {
	everyPort(t, func(t *testing.T, a, b Port) {
		_, err := a.Send([]Datagram{{Peer: b.Local(), Data: []byte("ask")}})
		check(t, err)
		readable(t, b)
		var ds [1]Datagram
		_, err = b.Recv(ds[:])
		check(t, err)
		if ds[0].Peer != a.Local() {
			t.Fatalf("came from %v, sent by %v", ds[0].Peer, a.Local())
		}
		_, err = b.Send([]Datagram{{Peer: ds[0].Peer, Data: []byte("answer")}})
		check(t, err)
		if got := collect(t, a, 1); string(got[0]) != "answer" {
			t.Errorf("%q", got)
		}
	})
}

// A packet too long for one datagram is dropped and counted; what is behind it goes.
func TestWhatCannotBeSentIsCounted(t *testing.T) {
	a, b := udpNetwork("127.0.0.1:0", "127.0.0.2:0", UDPOptions{})(t)
	defer a.Close()
	defer b.Close()
	n, err := a.Send([]Datagram{{Peer: b.Local(), Data: make([]byte, 66000)}, {Peer: b.Local(), Data: []byte("next")}})
	if n != 2 || err != nil || a.Stats().SendErrors != 1 {
		t.Errorf("took %d, %v, %+v", n, err, a.Stats())
	}
	if got := collect(t, b, 1); string(got[0]) != "next" {
		t.Errorf("%q", got)
	}
}

func TestListenNeedsOneAddress(t *testing.T) {
	for _, a := range []string{"0.0.0.0:4791", "[::]:4791", "192.0.2.1:4791"} {
		if p, err := ListenUDP(netip.MustParseAddrPort(a), UDPOptions{}); err == nil {
			p.Close()
			t.Errorf("listening on %s", a)
		}
	}
}

// Faults come in their shares, and a seed repeats them.
func TestFaults(t *testing.T) {
	const packets = 4000
	run := func(f Faults) (got []string, seconds time.Duration) {
		a, b := hubNetwork(t)
		b = must[Port](t)(Bad(b, f))
		defer func() { check(t, a.Close()); check(t, b.Close()) }()
		start := time.Now()
		var ds [16]Datagram
		for i := range packets {
			_, err := a.Send([]Datagram{{Peer: b.Local(), Data: fmt.Appendf(nil, "%06d", i)}})
			check(t, err)
			n, err := b.Recv(ds[:])
			check(t, err)
			for _, d := range ds[:n] {
				got = append(got, string(d.Data))
			}
		}
		for idle := 0; idle < 20; {
			n, err := b.Recv(ds[:])
			check(t, err)
			for _, d := range ds[:n] {
				got = append(got, string(d.Data))
			}
			if idle++; n > 0 {
				idle = 0
			}
			fds := []unix.PollFd{{Fd: int32(b.FD()), Events: unix.POLLIN}}
			_, _ = unix.Poll(fds, 1)
		}
		return got, time.Since(start)
	}
	between := func(what string, n, low, high int) {
		t.Helper()
		if n < low || n > high {
			t.Errorf("%s: %d, want %d to %d", what, n, low, high)
		}
	}
	none, _ := run(Faults{Seed: 1})
	between("without faults", len(none), packets, packets)
	lossy, _ := run(Faults{Seed: 1, Loss: 0.1})
	between("10 % loss", len(lossy), packets*86/100, packets*94/100)
	again, _ := run(Faults{Seed: 1, Loss: 0.1})
	if fmt.Sprint(lossy) != fmt.Sprint(again) {
		t.Error("one seed lost other packets the second time")
	}
	other, _ := run(Faults{Seed: 2, Loss: 0.1})
	if fmt.Sprint(lossy) == fmt.Sprint(other) {
		t.Error("another seed lost the same packets")
	}
	twice, _ := run(Faults{Seed: 1, Duplicate: 0.1})
	between("10 % twice", len(twice), packets*106/100, packets*114/100)
	late, _ := run(Faults{Seed: 1, Reorder: 0.1})
	between("10 % late", len(late), packets, packets)
	before, newest := 0, "" // of what a stall lets come together only the first is behind its neighbor
	for _, s := range late {
		if s < newest {
			before++
		}
		newest = max(newest, s)
	}
	between("out of order", before, packets/100, packets*12/100)
	hurt, _ := run(Faults{Seed: 1, Corrupt: 0.1})
	bad := 0
	for i, s := range hurt {
		if s != fmt.Sprintf("%06d", i) {
			bad++
		}
	}
	between("damaged", bad, packets*6/100, packets*14/100)
	delayed, took := run(Faults{Seed: 1, Delay: 5 * time.Millisecond})
	between("delayed", len(delayed), packets, packets)
	if took < 5*time.Millisecond {
		t.Errorf("a delay of 5 ms took %v", took)
	}
}
