// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"errors"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"lazystate/verbs/driver"
)

type message interface {
	Decode(*CMData)
	Encode(*CMData)
}

func messages() map[Attr]message {
	return map[Attr]message{AttrREQ: new(REQ), AttrMRA: new(MRA), AttrREJ: new(REJ), AttrREP: new(REP), AttrRTU: new(RTU), AttrDREQ: new(DREQ), AttrDREP: new(DREP)}
}

// field is where the specification puts a field: byte behind the MAD header,
// first bit from the most significant one, bits.
type field struct{ at, bit, bits int }

func path(at int) map[string]field {
	return map[string]field{
		"LocalLID": {at, 0, 16}, "RemoteLID": {at + 2, 0, 16}, "LocalGID": {at + 4, 0, 128}, "RemoteGID": {at + 20, 0, 128},
		"FlowLabel": {at + 36, 0, 20}, "PacketRate": {at + 39, 2, 6}, "TrafficClass": {at + 40, 0, 8}, "HopLimit": {at + 41, 0, 8},
		"SL": {at + 42, 0, 4}, "SubnetLocal": {at + 42, 4, 1}, "LocalAckTimeout": {at + 43, 0, 5},
	}
}

// layout is tables 106 to 113 of the specification.
func layout() map[Attr]map[string]field {
	ids := map[string]field{"CommIDs.LocalCommID": {0, 0, 32}, "CommIDs.RemoteCommID": {4, 0, 32}}
	with := func(more map[string]field) map[string]field {
		for k, v := range ids {
			more[k] = v
		}
		return more
	}
	req := map[string]field{
		"LocalCommID": {0, 0, 32}, "ServiceID": {8, 0, 64}, "LocalCAGUID": {16, 0, 64}, "LocalQKey": {28, 0, 32},
		"LocalQPN": {32, 0, 24}, "ResponderResources": {35, 0, 8}, "LocalEECN": {36, 0, 24}, "InitiatorDepth": {39, 0, 8},
		"RemoteEECN": {40, 0, 24}, "RemoteCMTimeout": {43, 0, 5}, "TransportService": {43, 5, 2}, "EndToEndFlowControl": {43, 7, 1},
		"StartingPSN": {44, 0, 24}, "LocalCMTimeout": {47, 0, 5}, "RetryCount": {47, 5, 3}, "PKey": {48, 0, 16},
		"PathMTU": {50, 0, 4}, "RDCExists": {50, 4, 1}, "RNRRetryCount": {50, 5, 3},
		"MaxCMRetries": {51, 0, 4}, "SRQ": {51, 4, 1}, "ExtTransport": {51, 5, 3},
		"SAPSupported": {139, 5, 1}, "PrivateData": {140, 0, 736},
	}
	for name, f := range path(52) {
		req["Primary."+name] = f
	}
	for name, f := range path(96) {
		req["Alternate."+name] = f
	}
	return map[Attr]map[string]field{
		AttrREQ: req,
		AttrMRA: with(map[string]field{"MessageMRAed": {8, 0, 2}, "ServiceTimeout": {9, 0, 5}, "PrivateData": {10, 0, 1776}}),
		AttrREJ: with(map[string]field{"MessageRejected": {8, 0, 2}, "InfoLength": {9, 0, 7}, "Reason": {10, 0, 16}, "ARI": {12, 0, 576}, "PrivateData": {84, 0, 1184}}),
		AttrREP: with(map[string]field{
			"LocalQKey": {8, 0, 32}, "LocalQPN": {12, 0, 24}, "LocalEECN": {16, 0, 24}, "StartingPSN": {20, 0, 24},
			"ResponderResources": {24, 0, 8}, "InitiatorDepth": {25, 0, 8}, "TargetAckDelay": {26, 0, 5}, "FailoverAccepted": {26, 5, 2},
			"EndToEndFlowControl": {26, 7, 1}, "RNRRetryCount": {27, 0, 3}, "SRQ": {27, 3, 1}, "LocalCAGUID": {28, 0, 64}, "PrivateData": {36, 0, 1568}}),
		AttrRTU:  with(map[string]field{"PrivateData": {8, 0, 1792}}),
		AttrDREQ: with(map[string]field{"RemoteQPN": {8, 0, 24}, "PrivateData": {12, 0, 1760}}),
		AttrDREP: with(map[string]field{"PrivateData": {8, 0, 1792}}),
	}
}

// Every field, alone and all ones, sets the bits that the specification gives
// it, no other, and is read back; and every field is in the table.
func TestCMFieldsLieWhereTheSpecificationPutsThem(t *testing.T) {
	table := layout()
	for attr, blank := range messages() {
		names := leaves(reflect.TypeOf(blank).Elem(), "")
		if len(names) != len(table[attr]) {
			t.Errorf("%v has %d fields, the table %d", attr, len(names), len(table[attr]))
		}
		for _, name := range names {
			f, ok := table[attr][name]
			if !ok {
				t.Errorf("%v.%s is not in the table", attr, name)
				continue
			}
			m := messages()[attr]
			v := reflect.ValueOf(m).Elem()
			for part := range strings.SplitSeq(name, ".") {
				v = v.FieldByName(part)
			}
			allOnes(v, f.bits)
			var d, want CMData
			m.Encode(&d)
			for i := f.at*8 + f.bit; i < f.at*8+f.bit+f.bits; i++ {
				want[i/8] |= 0x80 >> (i % 8)
			}
			if d != want {
				t.Errorf("%v.%s is encoded as %x, want %x", attr, name, d, want)
			}
			if back := messages()[attr]; name != "InfoLength" { // its greatest value is cut
				back.Decode(&want)
				if diff := cmp.Diff(m, back); diff != "" {
					t.Errorf("%v.%s is not read back: %s", attr, name, diff)
				}
			}
		}
	}
}

func leaves(typ reflect.Type, prefix string) (names []string) {
	for i := range typ.NumField() {
		if f := typ.Field(i); f.Type.Kind() == reflect.Struct {
			names = append(names, leaves(f.Type, prefix+f.Name+".")...)
		} else {
			names = append(names, prefix+f.Name)
		}
	}
	return names
}

func allOnes(v reflect.Value, bits int) {
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Array:
		for i := range v.Len() {
			v.Index(i).SetUint(0xff)
		}
	default:
		v.SetUint(^uint64(0) >> (64 - bits))
	}
}

// What no field holds does not reach another: values that are too large are cut.
func TestCMFieldsAreCut(t *testing.T) {
	for name, m := range map[string]message{
		"LocalQPN": &REQ{LocalQPN: 0xffffffff}, "TransportService": &REQ{TransportService: 0xff}, "RetryCount": &REQ{RetryCount: 0xff},
		"RNRRetryCount": &REQ{RNRRetryCount: 0xff}, "ExtTransport": &REQ{ExtTransport: 0xff}, "PacketRate": &REQ{Primary: Path{PacketRate: 0xff}},
		"FlowLabel": &REQ{Primary: Path{FlowLabel: 0xfffff}}, "FailoverAccepted": &REP{FailoverAccepted: 0xff},
	} {
		var d CMData
		m.Encode(&d)
		ones := 0
		for _, b := range d {
			for ; b != 0; b &= b - 1 {
				ones++
			}
		}
		if want := map[string]int{"LocalQPN": 24, "TransportService": 2, "RetryCount": 3, "RNRRetryCount": 3, "ExtTransport": 3, "PacketRate": 6, "FlowLabel": 20, "FailoverAccepted": 2}[name]; ones != want {
			t.Errorf("%s sets %d bits, want %d", name, ones, want)
		}
	}
}

func TestMADRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := MADHeader{rapid.Uint16().Draw(t, "status"), rapid.Uint64().Draw(t, "tid"), Attr(rapid.Uint16().Draw(t, "attr"))}
		body := rapid.SliceOfN(rapid.Byte(), len(CMData{}), len(CMData{})).Draw(t, "body")
		b := make([]byte, MADLen+1)
		b[MADLen] = 0xee
		copy(PutMAD(b, h)[:], body)
		got, data, err := ParseMAD(b[:MADLen])
		if err != nil || got != h || string(data[:]) != string(body) || b[MADLen] != 0xee {
			t.Fatalf("%+v became %+v: %v", h, got, err)
		}
	})
}

func TestForeignMADsAreRefused(t *testing.T) {
	good := make([]byte, MADLen)
	PutMAD(good, MADHeader{Attr: AttrREQ})
	for i := range 4 {
		bad := append([]byte(nil), good...)
		bad[i]++
		if _, _, err := ParseMAD(bad); !errors.Is(err, ErrMAD) {
			t.Errorf("byte %d: %v", i, err)
		}
	}
	for _, n := range []int{0, madHeaderLen, MADLen - 1} {
		if _, _, err := ParseMAD(good[:n]); !errors.Is(err, ErrMAD) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	if AttrSIDRREP.String() != "SIDR_REP" || AttrREQ.String() != "REQ" || AttrAPR.String() != "APR" || Attr(3).String() != "attribute 0x0003" {
		t.Error("attributes have wrong names")
	}
}

func TestServiceID(t *testing.T) {
	id := NewServiceID(PSTCP, 7174)
	if id != 0x1061c06 {
		t.Errorf("rping's service ID is %#x", uint64(id))
	}
	if ps, port, ok := id.Port(); ps != PSTCP || port != 7174 || !ok {
		t.Errorf("%#x is port %d of %#x, %v", uint64(id), port, ps, ok)
	}
	if _, _, ok := ServiceID(0x100000001061c06).Port(); ok {
		t.Error("a service ID of another kind has a port")
	}
}

func TestIPHeader(t *testing.T) {
	for _, h := range []IPHeader{
		{4711, netip.MustParseAddr("10.77.0.1"), netip.MustParseAddr("10.77.0.2")},
		{1, netip.MustParseAddr("fd00::1"), netip.MustParseAddr("fd00::2")},
		{1, netip.MustParseAddr("::ffff:10.0.0.1"), netip.MustParseAddr("::ffff:10.0.0.2")},
	} {
		var private [92]byte
		for i := range private {
			private[i] = 0xee
		}
		h.Encode(&private)
		got, err := DecodeIPHeader(&private)
		if err != nil || got != h || private[IPHeaderLen] != 0xee {
			t.Errorf("%+v became %+v: %v", h, got, err)
		}
		for _, c := range [][2]byte{{1, private[1]}, {0, 0x50}} {
			bad := private
			bad[0], bad[1] = c[0], c[1]
			if _, err := DecodeIPHeader(&bad); !errors.Is(err, ErrMAD) {
				t.Errorf("%x: %v", c, err)
			}
		}
	}
}

func TestRejectInfoLengthIsCut(t *testing.T) {
	var d CMData
	d[9], d[11] = 0xff, 28
	var m REJ
	m.Decode(&d)
	if int(m.InfoLength) != len(m.ARI) || m.Reason != driver.RejectConsumer {
		t.Errorf("%+v", m)
	}
}
