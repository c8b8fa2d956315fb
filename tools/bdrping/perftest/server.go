// SPDX-License-Identifier: Apache-2.0

package perftest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"
	"unsafe"

	"lazystate/verbs"
)

// Test is what a client runs.
type Test uint8

const (
	ReadLat Test = iota
	WriteLat
	ReadBW
	WriteBW
	AtomicLat
	SendBW
)

var testNames = [...]string{"read_lat", "write_lat", "read_bw", "write_bw", "atomic_lat", "send_bw"}

func (t Test) String() string { return testNames[t] }

// ParseTest reads the name of a test.
func ParseTest(s string) (Test, error) {
	for i, n := range testNames {
		if n == s {
			return Test(i), nil
		}
	}
	return 0, fmt.Errorf("no test %q; there are %v", s, testNames)
}

// Server serves one client after the other.
type Server struct {
	Device *verbs.Device
	Test   Test
	Size   int // of the client's messages
	Iters  int // of the client; WriteLat alone needs it
}

const (
	versionLen   = 16
	mtuLen       = 2
	depth        = 512 // receives
	peerReads    = 16
	latHandshake = 4 // records after which a latency test runs
	bwHandshake  = 3
)

// session is one client.
type session struct {
	Server
	ctx    context.Context
	stop   context.CancelFunc
	conn   net.Conn
	pd     *verbs.PD
	ch     *verbs.CompChannel
	cq     *verbs.CQ
	mr     *verbs.MR
	prep   *verbs.PreparedQP
	qp     *verbs.QP
	peer   record
	mtu    verbs.MTU
	closes []interface{ Close() error }
}

// Serve serves one client, whose TCP connection it closes.
func (s *Server) Serve(ctx context.Context, conn net.Conn) (err error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ss := &session{Server: *s, ctx: ctx, stop: stop, conn: conn}
	defer func() { err = errors.Join(err, ss.close()) }()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if err := ss.open(); err != nil {
		return err
	}
	if err := ss.greet(); err != nil {
		return fmt.Errorf("introduction: %w", err)
	}
	return ss.run()
}

// open makes everything but the connection. As in perftest the first half of
// the memory is what leaves, the second what the peer may reach.
func (s *session) open() (err error) {
	if s.pd, err = s.Device.AllocPD(); err != nil {
		return err
	}
	s.closes = append(s.closes, s.pd)
	if s.ch, err = s.Device.CreateCompChannel(); err != nil {
		return err
	}
	s.closes = append(s.closes, s.ch)
	if s.cq, err = s.Device.CreateCQ(2*depth, s.ch); err != nil {
		return err
	}
	s.closes = append(s.closes, s.cq)
	if s.mr, err = s.pd.AllocMR(2*s.half(), verbs.AccessAll); err != nil {
		return err
	}
	s.closes = append(s.closes, s.mr)
	s.prep, err = s.pd.PrepareQP(&verbs.QPInitAttr{SendCQ: s.cq, Access: verbs.AccessAll,
		Cap: verbs.QPCap{MaxSendWR: 16, MaxRecvWR: depth, MaxSendSGE: 1, MaxRecvSGE: 1}})
	if err == nil {
		s.closes = append(s.closes, s.prep)
	}
	return err
}

// half is a buffer's size in whole pages.
func (s *session) half() int { return max(4096, (s.Size+4095)&^4095) }

func (s *session) close() error {
	errs := []error{}
	for i := len(s.closes) - 1; i >= 0; i-- {
		errs = append(errs, s.closes[i].Close())
	}
	if err := s.conn.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// echo answers n bytes with themselves.
func (s *session) echo(n int) ([]byte, error) {
	b := make([]byte, n)
	if _, err := io.ReadFull(s.conn, b); err != nil {
		return nil, err
	}
	_, err := s.conn.Write(b)
	return b, err
}

// greet exchanges version, buffer sizes and MTU. What the client says suits us,
// but for an MTU that is too large.
func (s *session) greet() error {
	for _, n := range []int{versionLen, 4, 4} {
		if _, err := s.echo(n); err != nil {
			return err
		}
	}
	var m [mtuLen]byte
	if _, err := io.ReadFull(s.conn, m[:]); err != nil {
		return err
	}
	s.mtu = min(verbs.MTU(m[0]-'0'), s.prep.Endpoint().MTU)
	if s.mtu.Bytes() == 0 {
		return fmt.Errorf("MTU %q", m[:])
	}
	_, err := s.conn.Write([]byte{'0' + byte(s.mtu), 0})
	return err
}

// run answers records until the client is done. The first connects; behind the
// handshake's last one the test runs.
func (s *session) run() error {
	handshake := bwHandshake
	if s.Test == ReadLat || s.Test == WriteLat || s.Test == AtomicLat {
		handshake = latHandshake
	}
	var played chan error
	for n := 1; ; n++ {
		done, err := s.answer()
		if done || err != nil {
			return errors.Join(err, s.outcome(played))
		}
		if n == handshake && s.Test == WriteLat {
			played = make(chan error, 1)
			go func() { played <- s.play() }()
		}
	}
}

// lastRound is how long the test may last when the client has gone: its last
// byte may be under way, or the client has died.
const lastRound = 10 * time.Second

// outcome waits for the test that ran beside, if any.
func (s *session) outcome(played chan error) error {
	if played == nil {
		return nil
	}
	select {
	case err := <-played:
		return err
	case <-time.After(lastRound):
	}
	s.stop()
	return <-played
}

// answer takes the client's next message: a record, a number for its report, or
// the end.
func (s *session) answer() (done bool, err error) {
	b := make([]byte, recordLen)
	n, err := s.conn.Read(b)
	switch {
	case errors.Is(err, io.EOF):
		return true, nil
	case err != nil:
		return false, err
	case string(b[:n]) == "done\x00":
		return true, nil
	case !beginsRecord(b[:n]):
		_, err := s.conn.Write(b[:n])
		return false, err
	}
	if _, err := io.ReadFull(s.conn, b[n:]); err != nil {
		return false, err
	}
	if s.qp == nil {
		if err := s.connect(b); err != nil {
			return false, err
		}
	}
	e := s.prep.Endpoint()
	own := record{qpn: e.QPN, psn: e.PSN, reads: peerReads, rkey: s.mr.RKey(), addr: s.mr.Addr() + uint64(s.half()), gid: e.GID}
	_, err = s.conn.Write(own.bytes())
	return false, err
}

func (s *session) connect(b []byte) (err error) {
	if s.peer, err = parseRecord(b); err != nil {
		return err
	}
	o := verbs.DefaultConnectOptions()
	s.qp, err = s.prep.Connect(verbs.Endpoint{QPN: s.peer.qpn, PSN: s.peer.psn, GID: s.peer.gid, MTU: s.mtu}, &o)
	if err != nil {
		return err
	}
	s.closes = append(s.closes, s.qp)
	if s.Test == SendBW {
		for range depth {
			if err := s.receive(); err != nil {
				return err
			}
		}
		go s.refill()
	}
	return nil
}

func (s *session) receive() error {
	_, err := s.qp.PostRecv(verbs.RecvWR{SG: []verbs.SGE{s.mr.SGE(s.half(), s.Size)}})
	return err
}

// refill posts a receive for each that completed, until the queue pair ends.
func (s *session) refill() {
	wc := make([]verbs.WC, depth)
	for {
		n, err := s.cq.Wait(s.ctx, wc)
		if err != nil {
			return
		}
		for i := range n {
			if wc[i].Err() != nil || s.receive() != nil {
				return
			}
		}
	}
}

// play is the server's half of ib_write_lat: a WRITE whose last byte is the
// round's number, then the client's. It polls memory as the client does.
func (s *session) play() error {
	out, in := &s.mr.Bytes()[s.Size-1], s.half()+s.Size-1
	wr := verbs.SendWR{Op: verbs.OpRDMAWrite, Flags: verbs.SendSignaled, SG: []verbs.SGE{s.mr.SGE(0, s.Size)}, RemoteAddr: s.peer.addr, RKey: s.peer.rkey}
	var wc [1]verbs.WC
	for i := 1; i <= s.Iters; i++ {
		*out = byte(i)
		if _, err := s.qp.PostSend(wr); err != nil {
			return fmt.Errorf("round %d: %w", i, err)
		}
		if _, err := s.cq.Wait(s.ctx, wc[:]); err != nil {
			return fmt.Errorf("round %d: %w", i, err)
		}
		if err := wc[0].Err(); err != nil {
			return fmt.Errorf("round %d: %w", i, err)
		}
		for s.byteAt(in) != byte(i) {
			if _, err := s.cq.Poll(wc[:]); err != nil || s.ctx.Err() != nil {
				return errors.Join(fmt.Errorf("round %d: no answer", i), err)
			}
		}
	}
	return nil
}

// byteAt reads a byte that the device writes.
func (s *session) byteAt(off int) byte {
	b := s.mr.Bytes()
	word := (*uint32)(unsafe.Pointer(&b[off&^3]))
	return byte(atomic.LoadUint32(word) >> (8 * (off & 3)))
}
