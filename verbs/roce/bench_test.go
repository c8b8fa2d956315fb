// SPDX-License-Identifier: Apache-2.0

package roce

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"lazystate/verbs/driver"
)

// The benchmarks' peer is another process: this test binary with peerEnv set.
const peerEnv = "LAZYSTATE_ROCE_PEER"

// BePeer is the other process, if this is it.
func BePeer() {
	kind := os.Getenv(peerEnv)
	if kind == "" {
		return
	}
	if err := bePeer(kind); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// bePeer serves until its standard input ends.
func bePeer(kind string) error {
	switch kind {
	case "tcp":
		return tcpPeer()
	case "roce":
		return rocePeer()
	}
	return fmt.Errorf("no peer %q", kind)
}

// tcpPeer answers each request of eight bytes with as many bytes as it asks for.
func tcpPeer() error {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	c, err := l.Accept()
	if err != nil {
		return err
	}
	buf := make([]byte, 1<<20)
	var req [8]byte
	for {
		if _, err := io.ReadFull(c, req[:]); err != nil {
			return nil
		}
		if _, err := c.Write(buf[:binary.NativeEndian.Uint64(req[:])]); err != nil {
			return nil
		}
	}
}

const peerPort = 24791

func rocePeer() error {
	d, err := Open(Config{Local: netip.MustParseAddr("127.0.0.21"), Port: peerPort})
	if err != nil {
		return err
	}
	pd, _ := d.AllocPD()
	mem, err := d.Alloc(1 << 20)
	if err != nil {
		return err
	}
	mr, err := d.RegMR(pd, mem, 0, remoteAccess|driver.AccessLocalWrite)
	if err != nil {
		return err
	}
	cq, _ := d.CreateCQ(16, 0)
	qp, err := d.CreateQP(pd, &driver.QPInitAttr{Type: driver.RC, SendCQ: cq, RecvCQ: cq})
	if err != nil {
		return err
	}
	l, err := d.cm.Listen(netip.AddrPort{}, 1)
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	c, err := l.Accept(context.Background())
	if err != nil {
		return err
	}
	private := binary.NativeEndian.AppendUint32(nil, mr.RKey)
	if err := c.Accept(context.Background(), qp.QP, driver.ConnParam{ResponderResources: 128, InitiatorDepth: 16, Private: private}); err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
	return d.Close()
}

// startPeer runs the other process and returns the address it listens at.
func startPeer(b *testing.B, kind string) netip.AddrPort {
	b.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), peerEnv+"="+kind)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	check(b, err)
	out, err := cmd.StdoutPipe()
	check(b, err)
	check(b, cmd.Start())
	b.Cleanup(func() {
		in.Close()
		check(b, cmd.Wait())
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	check(b, err)
	return must[netip.AddrPort](b)(netip.ParseAddrPort(strings.TrimSpace(line)))
}

// dial connects to the peer and returns its side, of which only mr is known.
func dialPeer(b *testing.B, c Config) (s, to *side) {
	addr := startPeer(b, "roce")
	c.Local, c.Port = netip.MustParseAddr("127.0.0.22"), peerPort
	d := must[*Device](b)(Open(c))
	b.Cleanup(func() { check(b, d.Close()) })
	s = newSide(b, d, 1<<20)
	s.ctx = context.Background()
	s.conn = must[driver.Conn](b)(d.cm.Resolve(s.ctx, netip.Addr{}, addr))
	reply, err := s.conn.Connect(s.ctx, s.qp, driver.ConnParam{InitiatorDepth: 128, RetryCount: 7, RNRRetry: 7})
	check(b, err)
	return s, &side{mr: driver.MRInfo{RKey: binary.NativeEndian.Uint32(reply.Private)}}
}

// times are durations of single round trips; on a machine that others use the
// low percentiles say most.
type times []time.Duration

func (ts times) report(b *testing.B) {
	slices.Sort(ts)
	for _, p := range []int{1, 10, 50} {
		b.ReportMetric(float64(ts[len(ts)*p/100].Nanoseconds())/1e3, fmt.Sprintf("p%d-us", p))
	}
}

func BenchmarkRoundTripTCP(b *testing.B) {
	for _, size := range []int{64, 64 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			c, err := net.Dial("tcp4", startPeer(b, "tcp").String())
			check(b, err)
			defer c.Close()
			buf := make([]byte, size)
			var req [8]byte
			binary.NativeEndian.PutUint64(req[:], uint64(size))
			b.SetBytes(int64(size))
			var ts times
			for b.Loop() {
				start := time.Now()
				_, err := c.Write(req[:])
				check(b, err)
				_, err = io.ReadFull(c, buf)
				check(b, err)
				ts = append(ts, time.Since(start))
			}
			ts.report(b)
		})
	}
}

// benchRoundTrip has one request under way at a time.
func benchRoundTrip(b *testing.B, c Config, op driver.Opcode, size int) {
	s, to := dialPeer(b, c)
	request := []driver.SendWR{{Op: op, Flags: driver.SendSignaled, SG: s.sge(0, size), RKey: to.mr.RKey}}
	wc := make([]driver.WC, 1)
	var ts times
	for b.Loop() {
		start := time.Now()
		_, err := s.d.PostSend(s.qp, request)
		check(b, err)
		_, err = s.d.WaitCQ(s.ctx, s.cq, wc)
		check(b, err)
		check(b, wc[0].Err())
		ts = append(ts, time.Since(start))
	}
	ts.report(b)
}

// benchDepth keeps depth requests under way.
func benchDepth(b *testing.B, c Config, op driver.Opcode, size, depth int) {
	s, to := dialPeer(b, c)
	b.SetBytes(int64(size))
	request := []driver.SendWR{{Op: op, Flags: driver.SendSignaled, SG: s.sge(0, size), RKey: to.mr.RKey}}
	wc := make([]driver.WC, depth)
	posted := 0
	b.ResetTimer()
	for done := 0; done < b.N; {
		for posted-done < depth && posted < b.N {
			_, err := s.d.PostSend(s.qp, request)
			check(b, err)
			posted++
		}
		n, err := s.d.WaitCQ(s.ctx, s.cq, wc)
		check(b, err)
		for i := range n {
			check(b, wc[i].Err())
		}
		done += n
	}
	count := s.d.Counters()
	b.ReportMetric(float64(count.Retransmits+count.DuplicateResponses), "repeats")
}

func BenchmarkRoundTripRead64(b *testing.B)  { benchRoundTrip(b, Config{}, driver.OpRDMARead, 64) }
func BenchmarkRoundTripWrite64(b *testing.B) { benchRoundTrip(b, Config{}, driver.OpRDMAWrite, 64) }
func BenchmarkRoundTripCAS(b *testing.B)     { benchRoundTrip(b, Config{}, driver.OpAtomicCmpAndSwp, 8) }
func BenchmarkRead64K(b *testing.B)          { benchDepth(b, Config{}, driver.OpRDMARead, 64<<10, 8) }
func BenchmarkWrite64K(b *testing.B)         { benchDepth(b, Config{}, driver.OpRDMAWrite, 64<<10, 8) }

func BenchmarkSpinRead64(b *testing.B) {
	benchRoundTrip(b, Config{Spin: time.Millisecond}, driver.OpRDMARead, 64)
}
