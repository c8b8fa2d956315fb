// SPDX-License-Identifier: Apache-2.0

package frame

import (
	"bytes"
	"testing"
)

// Whatever frames come: no panic, a payload inside them, no answer to an
// answer.
func FuzzFrame(f *testing.F) {
	for _, frames := range captured(f) {
		for _, c := range frames[:min(len(frames), 10)] {
			f.Add(c)
		}
	}
	b := make([]byte, MaxNeighbor)
	for _, a := range us.Addrs {
		f.Add(bytes.Clone(b[:them.Ask(b, a)]))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		var d, again Datagram
		if d.Parse(in) == nil {
			out := make([]byte, MaxHeader+len(d.Payload))
			n := d.PutHeader(out, len(d.Payload))
			n += copy(out[n:], d.Payload)
			if err := again.Parse(out[:n]); err != nil || !bytes.Equal(again.Payload, d.Payload) || d.Dst.Compare(again.Dst) != 0 && !d.Dst.Addr().Is4In6() {
				t.Fatalf("%+v became %+v: %v", d, again, err)
			}
		}
		Neighbor(in)
		out := make([]byte, MaxNeighbor)
		if n := us.Answer(out, in); n > 0 {
			if who, mac, ok := Neighbor(out[:n]); !ok || !us.Has(who) || mac != us.MAC {
				t.Fatalf("answered that %v is at %x", who, mac)
			}
			if us.Answer(make([]byte, MaxNeighbor), out[:n]) != 0 {
				t.Fatal("an answer is answered")
			}
		}
	})
}
