// SPDX-License-Identifier: Apache-2.0

package uapi

import (
	"bytes"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"lazystate/internal/uapigen"
	"lazystate/tools/lab"
)

// As in gen.go.
var mirrors = []struct {
	stem, layout string
	headers      []string
}{
	{"uapi", "testdata/layout.txt", []string{"../../kmod/uapi/backdoor.h", "../../kmod/uapi/bd_fence.h", "../../kmod/uapi/bd_rdma.h", "../../kmod/uapi/bd_box.h"}},
	{"cbox", "testdata/cbox.txt", []string{"../../kmod/uapi/cbox.h", "../../kmod/uapi/scd.h"}},
	{"dsm", "testdata/dsm.txt", []string{"../../kmod/uapi/dsm.h"}},
}

func parse(t *testing.T, headers []string) *uapigen.Header {
	t.Helper()
	var src []byte
	for _, name := range headers {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		src = append(src, text...)
	}
	h, err := uapigen.Parse(string(src))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestMirrorIsCurrent(t *testing.T) {
	for _, m := range mirrors {
		want, err := parse(t, m.headers).GoSource("uapi", m.stem, "kmod/uapi")
		if err != nil {
			t.Fatal(err)
		}
		have := map[string][]byte{}
		names, err := filepath.Glob("z" + m.stem + "*.go")
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if have[name], err = os.ReadFile(name); err != nil {
				t.Fatal(err)
			}
		}
		if !maps.EqualFunc(have, want, bytes.Equal) {
			t.Errorf("z%s*.go are stale: run go generate in backdoor/uapi", m.stem)
		}
	}
}

// The committed layout is gcc's word; Parse must agree with it in every line.
func TestOffsetsAreTheCompilers(t *testing.T) {
	for _, m := range mirrors {
		h := parse(t, m.headers)
		committed, err := os.ReadFile(m.layout)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(string(committed), string(h.Layout())); d != "" {
			t.Errorf("%s: committed by gcc (-), computed here (+):\n%s", m.layout, d)
		}
		if _, err := exec.LookPath("gcc"); err != nil {
			lab.Skip(t, "no gcc: the committed layout was not checked again")
		}
		now, err := uapigen.Compile(h, m.headers...)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(string(committed), string(now)); d != "" {
			t.Errorf("%s: committed (-), gcc now (+):\n%s", m.layout, d)
		}
	}
}

type layout interface {
	Decode([]byte) error
	Put([]byte)
	Encode() []byte
}

// layouts is every struct of the header that has a Go type.
var layouts = map[string]struct {
	v    layout
	size int
}{
	"root": {&Root{}, RootSize}, "region": {&Region{}, RegionSize}, "table": {&Table{}, TableSize},
	"manifest": {&Manifest{}, ManifestSize}, "entry head": {&EntryHead{}, EntryHeadSize},
	"entry value": {&EntryValue{}, EntryValueSize}, "entry offset": {&EntryOffset{}, EntryOffsetSize},
	"sensor": {&Sensor{}, SensorSize}, "sbox": {&Sbox{}, SboxSize}, "uid": {&UID{}, UIDSize}, "uids": {&UIDs{}, UIDsSize},
	"foreign": {&Foreign{}, ForeignSize}, "lock req": {&LockReq{}, LockReqSize}, "lock reqs": {&LockReqs{}, LockReqsSize},
	"lock cpu": {&LockCPU{}, LockCPUSize}, "lock ack": {&LockAck{}, LockAckSize}, "fence": {&Fence{}, FenceSize},
	"kill slot": {&KillSlot{}, KillSlotSize}, "kill result": {&KillResult{}, KillResultSize},
	"knob slot": {&KnobSlot{}, KnobSlotSize}, "knob reqs": {&KnobReqs{}, KnobReqsSize},
	"knob result": {&KnobResult{}, KnobResultSize}, "knob acks": {&KnobAcks{}, KnobAcksSize}, "panic": {&Panic{}, PanicSize},
	"ioc version": {&IOCVersion{}, IOCVersionSize}, "ioc sensor": {&IOCSensor{}, IOCSensorSize},
	"ioc key": {&IOCKey{}, IOCKeySize}, "ioc foreign": {&IOCForeign{}, IOCForeignSize},
	"hello": {&Hello{}, HelloSize}, "denial": {&Denial{}, DenialSize}, "grant": {&Grant{}, GrantSize},
	"owner req": {&OwnerReq{}, OwnerReqSize}, "owner reqs": {&OwnerReqs{}, OwnerReqsSize}, "owner ack": {&OwnerAck{}, OwnerAckSize},
	"proposal": {&Proposal{}, ProposalSize}, "proposal ack": {&ProposalAck{}, ProposalAckSize}, "proposal acks": {&ProposalAcks{}, ProposalAcksSize},
	"cbox head": {&CboxHead{}, CboxHeadSize}, "cbox area": {&CboxArea{}, CboxAreaSize}, "cbox table": {&CboxTable{}, CboxTableSize},
	"cbox addr": {&CboxAddr{}, CboxAddrSize}, "cbox proc": {&CboxProc{}, CboxProcSize}, "cbox snap": {&CboxSnap{}, CboxSnapSize},
	"cbox end": {&CboxEnd{}, CboxEndSize}, "cbox chan": {&CboxChan{}, CboxChanSize}, "cbox act": {&CboxAct{}, CboxActSize},
	"cbox opt": {&CboxOpt{}, CboxOptSize}, "cbox pass": {&CboxPass{}, CboxPassSize},
	"scd request": {&ScdRequest{}, ScdRequestSize}, "scd answer": {&ScdAnswer{}, ScdAnswerSize},
	"ioc policy": {&IOCPolicy{}, IOCPolicySize}, "ioc agreement": {&IOCAgreement{}, IOCAgreementSize}, "ioc seal": {&IOCSeal{}, IOCSealSize},
}

// Every byte of a struct has its place: none is lost by Decode and Put, and
// none behind its size is touched.
func TestRoundTrip(t *testing.T) {
	for name, l := range layouts {
		rapid.Check(t, func(t *rapid.T) {
			rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 3))
			raw := make([]byte, l.size+8)
			for i := range raw {
				raw[i] = byte(rng.Uint32())
			}
			if err := l.v.Decode(raw); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(l.v.Encode(), raw[:l.size]) {
				t.Fatalf("%s changed", name)
			}
			got := bytes.Repeat([]byte{0xaa}, l.size+8)
			l.v.Put(got)
			if !bytes.Equal(got, append(raw[:l.size:l.size], 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa)) {
				t.Fatalf("%s: Put wrote behind its size", name)
			}
			if err := l.v.Decode(raw[:l.size-1]); err == nil {
				t.Fatalf("%s: decoded from too few bytes", name)
			}
		})
	}
}

// What travels in the private data of a CM message must fit into it, for
// RDMA_PS_TCP, whose own header takes 36 of a REQ's 92 bytes.
func TestPrivateDataFits(t *testing.T) {
	for name, c := range map[string]struct{ size, room, cm int }{
		"hello":  {HelloSize, HelloMax, 92 - 36},
		"denial": {DenialSize, DenialMax, 148},
		"grant":  {GrantSize, GrantMax, 196},
	} {
		if c.size > c.room || c.room != c.cm {
			t.Errorf("%s: %d bytes, room for %d, the message has %d", name, c.size, c.room, c.cm)
		}
	}
	if ProposalSize != 4096 {
		t.Errorf("a proposal is no page but %d bytes", ProposalSize)
	}
}

func TestShortBuffer(t *testing.T) {
	var r Root
	err := r.Decode(make([]byte, RootSize-1))
	if err == nil || err.Error() != "struct bd_root: 63 bytes of 64" {
		t.Errorf("got %v", err)
	}
}

func TestNames(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{LockStateName(LockHeld), "held"},
		{CPUWhereName(CPUNMIIRQOff), "nmi irqoff"},
		{LockRefusalName(RefuseBusy), "busy"},
		{ResultName(99), "unknown(99)"},
		{CString([]byte("ab\x00c")), "ab"},
		{CString([]byte("abc")), "abc"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}
