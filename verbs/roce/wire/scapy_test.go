// SPDX-License-Identifier: Apache-2.0

package wire_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"math/rand/v2"
	"net/netip"
	"os/exec"
	"strings"
	"testing"

	"lazystate/internal/seqnum"
	"lazystate/tools/lab"
	"lazystate/verbs/roce/frame"
	"lazystate/verbs/roce/wire"
)

// python is Debian's, whose packages python3-scapy is one of; PATH may begin with
// another.
const python = "/usr/bin/python3"

// scapy runs testdata/scapy_roce.py, in which scapy's RoCE layer, that nobody
// here wrote, looks at packets or builds them. It knows IPv4 only.
func scapy(t *testing.T, stdin string, args ...string) []string {
	t.Helper()
	if out, err := exec.Command(python, "-c", "import scapy.contrib.roce").CombinedOutput(); err != nil {
		lab.Skip(t, "no scapy with a RoCE layer (Debian: python3-scapy): "+err.Error()+"\n"+string(out))
	}
	cmd := exec.Command(python, append([]string{"testdata/scapy_roce.py"}, args...)...)
	cmd.Stdin = strings.NewReader(stdin)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("scapy: %v\n%s", err, stderr.String())
	}
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}

type seen struct {
	Src, Dst                  netip.AddrPort
	ID                        uint16
	Opcode                    wire.Opcode
	Name                      string
	Solicited, MigReq, AckReq uint8
	Pad, Version, FECN, BECN  uint8
	PKey                      uint16
	QP, PSN                   uint32
	Behind                    string // BTH, without ICRC
	ICRC, Computed            string
	Syndrome                  *wire.Syndrome
	MSN                       uint32
}

type emitted struct {
	wire.Packet
	frame.Datagram
	bytes []byte
}

// emit builds a frame around a packet of the opcode with random fields.
func emit(t *testing.T, r *rand.Rand, op wire.Opcode, payload int) emitted {
	t.Helper()
	e := emitted{
		Packet: wire.Packet{
			BTH: wire.BTH{Opcode: op, Solicited: r.IntN(2) == 0, MigReq: r.IntN(2) == 0, PKey: uint16(r.Uint32()), FECN: r.IntN(2) == 0, BECN: r.IntN(2) == 0,
				DestQP: r.Uint32N(1 << 24), AckReq: r.IntN(2) == 0, PSN: seqnum.NewPSN(r.Uint32())},
			AETH:    wire.AETH{Syndrome: wire.Syndrome(r.IntN(128)), MSN: r.Uint32N(1 << 24)},
			RETH:    wire.RETH{VA: r.Uint64(), RKey: r.Uint32(), Len: r.Uint32()},
			Payload: make([]byte, payload),
		},
		Datagram: frame.Datagram{
			SrcMAC: frame.MAC{2}, DstMAC: frame.MAC{4}, TrafficClass: uint8(r.IntN(256)), ID: uint16(r.Uint32()),
			Src: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(r.Uint32()), 0, 1}), uint16(r.Uint32())),
			Dst: netip.MustParseAddrPort("10.0.0.2:4791"),
		},
	}
	for i := range e.Packet.Payload {
		e.Packet.Payload[i] = byte(r.Uint32())
	}
	flow, err := wire.NewFlow(e.Src, e.Dst)
	if err != nil {
		t.Fatal(err)
	}
	n := wire.Len(op, payload)
	e.bytes = make([]byte, frame.MaxHeader+n)
	head := e.PutHeader(e.bytes, n)
	e.bytes = e.bytes[:head+n]
	e.Put(e.bytes[head:])
	flow.Seal(e.bytes[head:], e.ID)
	return e
}

// PutHeader is the datagram's, not the packet's.
func (e *emitted) PutHeader(b []byte, n int) int { return e.Datagram.PutHeader(b, n) }

func TestScapyReadsWhatWeSend(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var sent []emitted
	var in strings.Builder
	for o := range 256 {
		op := wire.Opcode(o)
		sizes := []int{0, 1, 2, 3, 64, 1021, 4096}
		switch {
		case op.Props() == 0:
			continue
		case op == wire.OpCNP:
			sizes = []int{wire.CNPLen}
		case !op.Is(wire.PropPayload):
			sizes = sizes[:1]
		}
		for _, n := range sizes {
			e := emit(t, r, op, n)
			sent = append(sent, e)
			in.WriteString(hex.EncodeToString(e.bytes) + "\n")
		}
	}
	lines := scapy(t, in.String(), "check")
	if len(lines) != len(sent) {
		t.Fatalf("%d packets sent, scapy saw %d", len(sent), len(lines))
	}
	for i, line := range lines {
		var s seen
		if err := json.Unmarshal([]byte(line), &s); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		checkSeen(t, &sent[i], &s)
	}
}

func checkSeen(t *testing.T, e *emitted, s *seen) {
	t.Helper()
	b := e.BTH
	got := wire.BTH{Opcode: s.Opcode, Solicited: s.Solicited != 0, MigReq: s.MigReq != 0, Pad: s.Pad, Version: s.Version, PKey: s.PKey,
		FECN: s.FECN != 0, BECN: s.BECN != 0, DestQP: s.QP, AckReq: s.AckReq != 0, PSN: seqnum.PSN(s.PSN)}
	if got != b || s.Src != e.Src || s.Dst != e.Dst || s.ID != e.ID {
		t.Errorf("%v: sent %+v in %+v, scapy sees %+v", b.Opcode, b, e.Datagram, s)
	}
	if s.ICRC != s.Computed {
		t.Errorf("%v of %d bytes: ICRC %s, scapy computes %s", b.Opcode, len(e.Packet.Payload), s.ICRC, s.Computed)
	}
	if want := hex.EncodeToString(e.bytes[42+wire.BTHLen : len(e.bytes)-wire.ICRCLen]); s.Behind != want {
		t.Errorf("%v: behind the BTH scapy sees %s, not %s", b.Opcode, s.Behind, want)
	}
	if b.Opcode == wire.OpAcknowledge && (s.Syndrome == nil || *s.Syndrome != e.AETH.Syndrome || s.MSN != e.AETH.MSN) {
		t.Errorf("sent %+v, scapy sees %+v", e.AETH, s)
	}
	// Scapy does not know SEND with invalidate.
	if name := strings.TrimPrefix(s.Name, "RC_"); !b.Opcode.Is(wire.PropIETH) && name != b.Opcode.String() {
		t.Errorf("%v: scapy calls it %s", b.Opcode, s.Name)
	}
}

func TestWeReadWhatScapyBuilds(t *testing.T) {
	ops := map[wire.Opcode]int{}
	for _, line := range scapy(t, "", "build", "1", "200") {
		f, err := hex.DecodeString(line)
		if err != nil {
			t.Fatal(err)
		}
		var d frame.Datagram
		var p wire.Packet
		if err := d.Parse(f); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		flow, err := wire.NewFlow(d.Src, d.Dst)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Parse(d.Payload); err != nil || !flow.Check(d.Payload, d.ID, d.Flags) {
			t.Errorf("%s: %v, ICRC right: %v", line, err, flow.Check(d.Payload, d.ID, d.Flags))
		}
		if id, ok := flow.CheckUnknownID(d.Payload); !ok || id != d.ID {
			t.Errorf("%s: ID %#x, %v, it is %#x", line, id, ok, d.ID)
		}
		again := make([]byte, len(d.Payload))
		p.Put(again)
		flow.Seal(again, d.ID)
		if !bytes.Equal(again, d.Payload) {
			t.Errorf("%s: encoded as %x", line, again)
		}
		ops[p.Opcode]++
	}
	if len(ops) < 5 {
		t.Errorf("only opcodes %v", ops)
	}
}
