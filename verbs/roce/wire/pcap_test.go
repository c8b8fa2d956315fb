// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"encoding/binary"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// captured is a packet of a capture, taken apart by gopacket.
type captured struct {
	file      string
	num       int // from 1, as tcpdump and wireshark count
	frame     []byte
	src, dst  netip.AddrPort
	id, flags uint16 // IPv4 only
	payload   []byte // of UDP
}

func (c *captured) flow(t testing.TB) *Flow {
	t.Helper()
	f, err := NewFlow(c.src, c.dst)
	if err != nil {
		t.Fatalf("%s packet %d: %v", c.file, c.num, err)
	}
	return &f
}

// captures reads all captures of testdata; what is not UDP to RoCEv2's port is
// an error: no capture has such packets.
func captures(t testing.TB) []captured {
	t.Helper()
	files, err := filepath.Glob("testdata/*.pcap")
	if err != nil || len(files) == 0 {
		t.Fatalf("no captures: %v", err)
	}
	var all []captured
	for _, file := range files {
		all = append(all, readCapture(t, file)...)
	}
	return all
}

func readCapture(t testing.TB, file string) []captured {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := pcapgo.NewReader(f)
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	var all []captured
	for num := 1; ; num++ {
		frame, _, err := r.ReadPacketData()
		if err == io.EOF {
			return all
		} else if err != nil {
			t.Fatalf("%s packet %d: %v", file, num, err)
		}
		c, ok := dissect(frame)
		if !ok {
			t.Fatalf("%s packet %d is not UDP to port %d", file, num, Port)
		}
		c.file, c.num = filepath.Base(file), num
		all = append(all, c)
	}
}

func dissect(frame []byte) (c captured, ok bool) {
	pkt := gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.Default)
	udp, ok := pkt.Layer(layers.LayerTypeUDP).(*layers.UDP)
	if !ok || udp.DstPort != Port {
		return c, false
	}
	var src, dst []byte
	switch ip := pkt.NetworkLayer().(type) {
	case *layers.IPv4:
		src, dst, c.id = ip.SrcIP, ip.DstIP, ip.Id
		c.flags = binary.BigEndian.Uint16(ip.Contents[6:])
	case *layers.IPv6:
		src, dst = ip.SrcIP, ip.DstIP
	default:
		return c, false
	}
	s, _ := netip.AddrFromSlice(src)
	d, _ := netip.AddrFromSlice(dst)
	c.frame, c.payload = frame, udp.Payload
	c.src, c.dst = netip.AddrPortFrom(s, uint16(udp.SrcPort)), netip.AddrPortFrom(d, uint16(udp.DstPort))
	return c, true
}
