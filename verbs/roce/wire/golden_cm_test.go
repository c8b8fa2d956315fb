// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"lazystate/verbs/driver"
)

// A dialogue is what was said under one transaction, in order.
type dialogue struct {
	name  string // of the capture, and of the transaction
	attrs []Attr
	req   REQ
	rep   REP
}

// The kernel's connection managers are understood, message by message, and
// encode to the same bytes; who said what to whom fits together.
func TestGoldenMADs(t *testing.T) {
	dialogues := map[string]map[uint64]*dialogue{}
	for _, c := range captures(t) {
		var p Packet
		if p.Parse(c.payload) != nil || p.Opcode != OpUDSendOnly || p.DestQP != GSIQPN {
			continue
		}
		if p.DETH != (DETH{GSIQKey, GSIQPN}) {
			t.Errorf("%s packet %d: %+v", c.file, c.num, p.DETH)
		}
		h, data, err := ParseMAD(p.Payload)
		if err != nil {
			t.Errorf("%s packet %d: %v", c.file, c.num, err)
			continue
		}
		if dialogues[c.file] == nil {
			dialogues[c.file] = map[uint64]*dialogue{}
		}
		d := dialogues[c.file][h.TID]
		if d == nil {
			d = &dialogue{name: c.file}
			dialogues[c.file][h.TID] = d
		}
		d.attrs = append(d.attrs, h.Attr)
		d.hear(t, &c, h, data, p.Payload)
	}
	for _, file := range []string{"rxe-6.1-cm-ipv4.pcap", "rxe-6.1-cm-ipv6.pcap", "rxe-6.12-cm-ipv4.pcap", "rxe-6.12-cm-ipv6.pcap"} {
		var said []string
		for _, d := range dialogues[file] {
			said = append(said, d.String())
		}
		slices.Sort(said)
		want := []string{
			"REQ REJ", "REQ REJ",
			"REQ REP RTU DREQ DREP", "REQ REP RTU DREQ DREP",
			"REQ REQ MRA REP RTU DREQ DREP",
			"SIDR_REQ SIDR_REP",
		}
		if !slices.Equal(said, want) {
			t.Errorf("%s: said %q, want %q", file, said, want)
		}
	}
}

func (d *dialogue) String() string {
	var s []string
	for _, a := range d.attrs {
		s = append(s, a.String())
	}
	return strings.Join(s, " ")
}

func (d *dialogue) hear(t *testing.T, c *captured, h MADHeader, data *CMData, mad []byte) {
	t.Helper()
	m := messages()[h.Attr]
	if m == nil {
		return // SIDR
	}
	m.Decode(data)
	again := make([]byte, MADLen)
	m.Encode(PutMAD(again, h))
	if !bytes.Equal(again, mad) {
		t.Errorf("%s packet %d (%v): encoded\n%x, captured\n%x", c.file, c.num, h.Attr, again, mad)
	}
	bad := func(what string) { t.Errorf("%s packet %d: %s: %+v", c.file, c.num, what, m) }
	switch m := m.(type) {
	case *REQ:
		d.req = *m
		d.checkREQ(c, bad)
	case *REP:
		d.rep = *m
		if m.RemoteCommID != d.req.LocalCommID || m.LocalQPN == 0 {
			bad("not the answer to its REQ")
		}
	case *RTU:
		if m.RemoteCommID != d.rep.LocalCommID || m.LocalCommID != d.req.LocalCommID {
			bad("not the answer to its REP")
		}
	case *MRA:
		if m.RemoteCommID != d.req.LocalCommID || m.MessageMRAed != AboutREQ || m.ServiceTimeout < 20 {
			bad("not the answer to its REQ")
		}
	case *DREQ:
		if m.LocalCommID == d.req.LocalCommID && m.RemoteQPN != d.rep.LocalQPN || m.LocalCommID == d.rep.LocalCommID && m.RemoteQPN != d.req.LocalQPN {
			bad("ends another connection")
		}
	case *REJ:
		private := strings.TrimRight(string(m.PrivateData[:]), "\x00")
		nobody := m.Reason == driver.RejectInvalidServiceID && private == ""
		refused := m.Reason == driver.RejectConsumer && private == "not today"
		if m.RemoteCommID != d.req.LocalCommID || !nobody && !refused {
			bad("not the answer to its REQ")
		}
	}
}

func (d *dialogue) checkREQ(c *captured, bad func(string)) {
	r := &d.req
	ip, err := DecodeIPHeader(&r.PrivateData)
	if err != nil || ip.Src != c.src.Addr() || ip.Dst != c.dst.Addr() || ip.SrcPort == 0 {
		bad("IP header")
	}
	ps, port, ok := r.ServiceID.Port()
	if !ok || ps != PSTCP || !slices.Contains([]uint16{7174, 9999, 7471}, port) {
		bad("service ID")
	}
	if user := r.PrivateData[IPHeaderLen:]; (port == 7471) != bytes.HasPrefix(user, []byte("hello\x00")) {
		bad("private data")
	}
	if r.Primary.LocalGID.Addr() != ip.Src || r.Primary.RemoteGID.Addr() != ip.Dst || r.Primary.HopLimit != 64 || r.Primary.LocalLID != 0xffff {
		bad("primary path")
	}
	if r.PathMTU != driver.MTU1024 || r.PKey != DefaultPKey || r.RetryCount < 6 || r.LocalQPN == 0 || r.LocalCMTimeout != 20 {
		bad("connection")
	}
	if port == 7471 && (r.ResponderResources != 5 || r.InitiatorDepth != 3 || r.RetryCount != 6 || r.RNRRetryCount != 5) {
		bad("what the program asked for")
	}
}
