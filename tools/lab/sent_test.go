// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"encoding/hex"
	"strings"
	"testing"
)

func TestSentCounts(t *testing.T) {
	ether := "020000000002" + "020000000001"
	for name, f := range map[string]struct {
		frame           string
		tcp, roce, rest int64
	}{
		"TCP":            {ether + "0800" + "45000028" + "00000000" + "40060000" + "0a000001" + "0a000002" + "00500051", 1, 0, 0},
		"TCP, options":   {ether + "0800" + "46000028" + "00000000" + "40060000" + "0a000001" + "0a000002" + "00000000" + "00500051", 1, 0, 0},
		"RoCE, IPv4":     {ether + "0800" + "45000028" + "00000000" + "40110000" + "0a000001" + "0a000002" + "c00012b7", 0, 1, 0},
		"RoCE, IPv6":     {ether + "86dd" + "60000000" + "001011ff" + strings.Repeat("00", 32) + "c00012b7", 0, 1, 0},
		"TCP, IPv6":      {ether + "86dd" + "60000000" + "001006ff" + strings.Repeat("00", 32) + "00500051", 1, 0, 0},
		"other datagram": {ether + "0800" + "45000028" + "00000000" + "40110000" + "0a000001" + "0a000002" + "c0000035", 0, 0, 1},
		"ARP":            {ether + "0806" + strings.Repeat("00", 28), 0, 0, 1},
		"short":          {ether + "0800" + "45", 0, 0, 1},
	} {
		b, err := hex.DecodeString(f.frame)
		if err != nil {
			t.Fatal(err)
		}
		s := &Sent{}
		s.count(b)
		if s.TCP.Load() != f.tcp || s.RoCE.Load() != f.roce || s.Other.Load() != f.rest {
			t.Errorf("%s: %d TCP, %d RoCE, %d other", name, s.TCP.Load(), s.RoCE.Load(), s.Other.Load())
		}
	}
}
