// SPDX-License-Identifier: Apache-2.0

package tcprepair

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"lazystate/internal/seqnum"
)

// ProbeMark is the mark of an Asker's segments: a takeover's guard, which lets
// no other out, knows them by it.
const ProbeMark = 0x4d54

// Asker asks the peers of sockets that are nowhere what they have received, in
// the old server's name: with a byte that they have already. They answer with
// the number they wait for next, which no state at the server shows (§3.6.5 does
// without, and pays with retransmission timers).
//
// The answer is final only if nothing of the old server is under way any more:
// that of a dead one, or of one whose segments had the time of a round trip. An
// acknowledgement that was on its way before is no answer: an answer names the
// byte (D-SACK, RFC 2883), or is the same as that to the question before.
type Asker struct {
	raw    rawSockets
	packet int
	v6     bool
}

// NewAsker listens on an interface, before the network's filters and before those
// of traffic control, which may drop the peers' segments meanwhile. Address and
// route must be there when Ask is called.
func NewAsker(index int, v6 bool) (*Asker, error) {
	a := &Asker{raw: rawSockets{-1, -1}, packet: -1, v6: v6}
	if err := a.open(index); err != nil {
		a.Close()
		return nil, fmt.Errorf("ask peers: %w", err)
	}
	return a, nil
}

func (a *Asker) open(index int) error {
	a.raw.open()
	fd := a.raw.v4
	if a.v6 {
		fd = a.raw.v6
	}
	if fd < 0 {
		return fmt.Errorf("raw socket: %w without CAP_NET_RAW", ErrPermission)
	}
	if err := setInt(fd, unix.SOL_SOCKET, unix.SO_MARK, ProbeMark, "SO_MARK"); err != nil {
		return err
	}
	// Questions to peers whose link-layer addresses nobody knows yet stay in the socket's
	// buffer until they do, seconds if they are gone: nobody else waits for that.
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, 8<<20)
	if err := unix.SetNonblock(fd, true); err != nil {
		return err
	}
	// A socket for one protocol hears what traffic control has let pass, one for
	// all of them everything (net/core/dev.c, __netif_receive_skb_core).
	all := uint16(unix.ETH_P_ALL)
	all = all<<8 | all>>8
	var err error
	if a.packet, err = unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0); err != nil {
		return fmt.Errorf("packet socket: %w", err)
	}
	_ = unix.SetsockoptInt(a.packet, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 8<<20) // thousands may answer at once
	if err := setInt(a.packet, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1, "PACKET_IGNORE_OUTGOING"); err != nil {
		return err
	}
	if err := onlyTCP(a.packet, a.v6); err != nil {
		return err
	}
	return unix.Bind(a.packet, &unix.SockaddrLinklayer{Protocol: all, Ifindex: index})
}

// onlyTCP leaves out what is no answer, as far as that is quickly seen: an IP
// header without extensions begins the packet.
func onlyTCP(packet int, v6 bool) error {
	version, protocol := uint32(4), uint32(9)
	if v6 {
		version, protocol = 6, 6
	}
	const loadByte, equal, ret = unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, unix.BPF_RET | unix.BPF_K
	f := []unix.SockFilter{
		{Code: loadByte, K: 0},
		{Code: unix.BPF_ALU | unix.BPF_RSH | unix.BPF_K, K: 4},
		{Code: equal, K: version, Jf: 3},
		{Code: loadByte, K: protocol},
		{Code: equal, K: unix.IPPROTO_TCP, Jf: 1},
		{Code: ret, K: 1 << 16},
		{Code: ret, K: 0},
	}
	if err := unix.SetsockoptSockFprog(packet, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(f)), Filter: &f[0]}); err != nil {
		return fmt.Errorf("filter of the packet socket: %w", err)
	}
	return nil
}

// Close gives the sockets up; that takes 10 ms.
func (a *Asker) Close() {
	a.raw.close()
	if a.packet >= 0 {
		unix.Close(a.packet)
	}
}

// connection is its two ends, as its peer's segments have them.
type connection struct{ peer, own netip.AddrPort }

// question is what is open of one connection.
type question struct {
	dump  *Dump
	said  seqnum.Value // in round
	round int          // 0: nothing yet
}

// Errors of a peer's answer.
var (
	ErrAhead = errors.New("the peer has received what was never sent: the state is an old one")
	ErrGone  = errors.New("the peer knows nothing of the connection")
)

// Ask asks for each dump, and again as often as given, a wait apart. Where the
// peer answers, what it has is dropped from the dump, and the rest counts as
// never sent (Resend). It returns how many have answered; the others stay as
// they are.
func (a *Asker) Ask(dumps []*Dump, times int, wait time.Duration) (n int, err error) {
	return n, a.AskEach(dumps, times, wait, func(_ *Dump, err error) {
		if err == nil {
			n++
		}
	})
}

// AskEach is Ask that says at once of each dump when its peer has answered, or why
// its state is of no use (ErrAhead, ErrGone). They are asked in order. Its error may be
// that of one who could not be asked, as without a route: the others have been.
func (a *Asker) AskEach(dumps []*Dump, times int, wait time.Duration, answered func(*Dump, error)) (unasked error) {
	open := make(map[connection]*question, len(dumps))
	for _, d := range dumps {
		open[connection{d.Remote, d.Local}] = &question{dump: d}
	}
	for round := 1; round <= times && len(open) > 0; round++ {
		for _, d := range dumps {
			q := open[connection{d.Remote, d.Local}]
			if q == nil || q.dump != d {
				continue
			}
			if err := a.put(d); err != nil {
				delete(open, connection{d.Remote, d.Local})
				unasked = err
			}
		}
		if err := a.listen(open, round, time.Now().Add(wait), answered); err != nil {
			return fmt.Errorf("ask peers: %w", err)
		}
	}
	return unasked
}

// put puts a question. That a queue is full, of the device or of our own, is no reason not
// to put it again.
func (a *Asker) put(d *Dump) error {
	seg, err := d.probe()
	if err == nil {
		err = a.raw.send(d.Remote.Addr(), seg)
	}
	if err == nil || errors.Is(err, unix.ENOBUFS) || errors.Is(err, unix.EAGAIN) {
		return nil
	}
	return fmt.Errorf("ask %s: %w", d.Remote, err)
}

// listen removes from open who has answered. It ends early if all have.
func (a *Asker) listen(open map[connection]*question, round int, until time.Time, answered func(*Dump, error)) error {
	b := make([]byte, 256)
	for len(open) > 0 {
		left := time.Until(until)
		if left <= 0 {
			return nil
		}
		p := []unix.PollFd{{Fd: int32(a.packet), Events: unix.POLLIN}}
		if n, err := unix.Poll(p, int(left.Milliseconds())+1); err != nil && !errors.Is(err, unix.EINTR) {
			return err
		} else if n <= 0 {
			continue
		}
		n, _, err := unix.Recvfrom(a.packet, b, unix.MSG_TRUNC)
		if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return err
		}
		s, ok := segmentOf(b[:min(n, len(b))])
		if q := open[s.ends]; ok && q != nil {
			if final, err := q.hear(&s, round); final {
				delete(open, s.ends)
				answered(q.dump, err)
			}
		}
	}
	return nil
}

// hear takes what a peer has said, and reports whether that was the answer. A RST
// is one if it has the number that the question asked for (RFC 9293, 3.10.7.1).
func (q *question) hear(s *heard, round int) (final bool, err error) {
	if s.rst && s.seq == q.dump.RcvNxt {
		return true, ErrGone
	} else if s.rst {
		return false, nil
	}
	again := q.round > 0 && q.round < round && q.said == s.ack
	if q.round == 0 || q.said != s.ack {
		q.said, q.round = s.ack, round
	}
	switch {
	case !again && !names(s.options, q.dump.outFirst()-1):
		return false, nil
	case q.dump.Nxt.Less(s.ack):
		return true, ErrAhead
	}
	return q.dump.has(s.ack), nil
}

// names reports whether the first SACK block is the byte at seq.
func names(options []byte, seq seqnum.Value) bool {
	for len(options) > 0 {
		switch kind := options[0]; {
		case kind == 0:
			return false
		case kind == 1:
			options = options[1:]
			continue
		case len(options) < 2 || options[1] < 2 || int(options[1]) > len(options):
			return false
		case kind == optBlocks:
			return options[1] >= 10 && seqnum.Value(binary.BigEndian.Uint32(options[2:])) == seq && seqnum.Value(binary.BigEndian.Uint32(options[6:])) == seq+1
		}
		options = options[options[1]:]
	}
	return false
}

// has takes what the peer has out of a dump, if it can have that.
func (d *Dump) has(next seqnum.Value) bool {
	first := d.outFirst()
	if next.Less(d.Una) || d.Nxt.Less(next) {
		return false
	}
	d.Out = d.Out[min(first.Size(next), seqnum.Size(len(d.Out))):] // next may count our FIN
	if end := d.end(); end.Less(next) && !d.State.OwnFinAcked() {
		next = end // it is sent again and acknowledged again
	}
	d.Una = seqnum.Max(d.Una, next)
	d.Resend()
	return true
}

// heard is what a peer says, as far as that matters.
type heard struct {
	ends     connection
	seq, ack seqnum.Value
	rst      bool
	options  []byte
}

// segmentOf reads the head of a packet that somebody else has checked, or nobody:
// its checksum may still be open, for a device to fill in. It has to be an
// acknowledgement, or a RST.
func segmentOf(p []byte) (s heard, ok bool) {
	var src, dst netip.Addr
	switch {
	case len(p) >= 20 && p[0]>>4 == 4 && p[9] == unix.IPPROTO_TCP && p[0]&15 >= 5 && len(p) >= int(p[0]&15)*4:
		src, dst = netip.AddrFrom4([4]byte(p[12:])), netip.AddrFrom4([4]byte(p[16:]))
		p = p[int(p[0]&15)*4:]
	case len(p) >= 40 && p[0]>>4 == 6 && p[6] == unix.IPPROTO_TCP:
		src, dst = netip.AddrFrom16([16]byte(p[8:])), netip.AddrFrom16([16]byte(p[24:]))
		p = p[40:]
	default:
		return s, false
	}
	const syn, rst, ackFlag = 2, 4, 16
	if len(p) < 20 || p[12]>>4 < 5 || p[13]&syn != 0 || p[13]&(rst|ackFlag) == 0 {
		return s, false
	}
	return heard{
		ends: connection{netip.AddrPortFrom(src, binary.BigEndian.Uint16(p)), netip.AddrPortFrom(dst, binary.BigEndian.Uint16(p[2:]))},
		seq:  seqnum.Value(binary.BigEndian.Uint32(p[4:])), ack: seqnum.Value(binary.BigEndian.Uint32(p[8:])),
		rst: p[13]&rst != 0, options: p[20:max(20, min(len(p), int(p[12]>>4)*4))],
	}, true
}
