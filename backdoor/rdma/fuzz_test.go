// SPDX-License-Identifier: Apache-2.0

package rdma

import (
	"testing"

	"lazystate/backdoor"
	"lazystate/backdoor/uapi"
)

var seedHello = uapi.Hello{Magic: uapi.HelloMagic, Major: 1, Monitor: 1, Counter: 9, BootID: [16]byte{7}}

// FuzzDecodeDenial: whoever rejects a connection chooses these bytes; only the
// key makes them the target's.
func FuzzDecodeDenial(f *testing.F) {
	d := uapi.Denial{Magic: uapi.DenialMagic, Major: 1, Reason: uapi.DenyBootID, Monitor: 1, BootID: [16]byte{7}, Counter: 9}
	f.Add(d.Encode())
	d.Sign(testKey(1))
	f.Add(d.Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		d, signed, err := decodeDenial(b, &seedHello, testKey(1))
		if signed && (err != nil || !d.SignedWith(testKey(1)) || d.Counter != seedHello.Counter) {
			t.Errorf("believed %+v, %v", d, err)
		}
	})
}

// FuzzDecodeGrant: the same of an accepted one.
func FuzzDecodeGrant(f *testing.F) {
	g := uapi.Grant{Magic: uapi.GrantMagic, Major: 1, Monitor: 1, Counter: 9, Grant: 1, Root: uapi.Root{BootID: [16]byte{7}}}
	f.Add(g.Encode())
	g.Sign(testKey(1))
	f.Add(g.Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		g, err := decodeGrant(b, &seedHello, testKey(1))
		if err == nil && (!g.SignedWith(testKey(1)) || g.Root.BootID != seedHello.BootID) {
			t.Errorf("believed %+v", g)
		}
	})
}

// FuzzOwnerAck: an owner's record is the target's, and may say anything.
func FuzzOwnerAck(f *testing.F) {
	a := uapi.OwnerAck{Magic: uapi.OwnerMagic, Owner: 1, Epoch: 2, LeaseEndNs: 9, NowNs: 3}
	f.Add(a.Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		var a uapi.OwnerAck
		if a.Decode(b) != nil {
			return
		}
		v := view(&a)
		if v.Left < 0 || v.Held != (v.Left > 0) {
			t.Errorf("%+v is %+v", a, v)
		}
		for _, why := range a.Refusal {
			if refusal(&a, backdoor.Owner{Epoch: 1}, why) == nil {
				t.Errorf("refusal %d is none", why)
			}
		}
	})
}
