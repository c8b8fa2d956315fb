// SPDX-License-Identifier: Apache-2.0

package uapi

import (
	"bytes"
	"os"
	"os/exec"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"lazystate/internal/uapigen"
)

const header = "../../kmod/uapi/backdoor.h"

func parse(t *testing.T) *uapigen.Header {
	t.Helper()
	src, err := os.ReadFile(header)
	if err != nil {
		t.Fatal(err)
	}
	h, err := uapigen.Parse(string(src))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestMirrorIsCurrent(t *testing.T) {
	h := parse(t)
	want, err := h.GoSource("uapi", "kmod/uapi/backdoor.h")
	if err != nil {
		t.Fatal(err)
	}
	have, err := os.ReadFile("zuapi.go")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, want) {
		t.Error("zuapi.go is stale: run go generate in backdoor/uapi")
	}
}

// The committed layout is gcc's word; Parse must agree with it in every line.
func TestOffsetsAreTheCompilers(t *testing.T) {
	h := parse(t)
	committed, err := os.ReadFile("testdata/layout.txt")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(committed), string(h.Layout())); d != "" {
		t.Errorf("committed by gcc (-), computed here (+):\n%s", d)
	}
	if _, err := exec.LookPath("gcc"); err != nil {
		t.Skip("no gcc: the committed layout was not checked again")
	}
	now, err := uapigen.Compile(h, header)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(committed), string(now)); d != "" {
		t.Errorf("committed (-), gcc now (+):\n%s", d)
	}
}

// A struct survives Put and Decode, and touches no byte behind its size.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		raw := rapid.SliceOfN(rapid.Byte(), LockAckSize, LockAckSize+8).Draw(t, "raw")
		var a LockAck
		if err := a.Decode(raw); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(a.Encode(), raw[:LockAckSize]) {
			t.Fatal("lock ack changed")
		}
		var k KnobSlot
		if err := k.Decode(raw); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(k.Encode(), raw[:KnobSlotSize]) {
			t.Fatal("knob slot changed")
		}
		var s Sensor
		if err := s.Decode(raw); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(s.Encode(), raw[:SensorSize]) {
			t.Fatal("sensor changed")
		}
	})
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
