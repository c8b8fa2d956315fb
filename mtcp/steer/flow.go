// SPDX-License-Identifier: Apache-2.0

package steer

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"unsafe"
)

// Flow is a connection by its two ends. In the client's programs, also at a
// gateway, Local is the client's; in the server's it is the server's.
type Flow struct{ Local, Remote netip.AddrPort }

func (f Flow) String() string { return fmt.Sprintf("%s-%s", f.Local, f.Remote) }

// valid refuses what is no pair of one family.
func (f Flow) valid() error {
	if !f.Local.IsValid() || !f.Remote.IsValid() || f.v6() != f.Remote.Addr().Unmap().Is6() {
		return fmt.Errorf("flow %s: not two ends of one family", f)
	}
	return nil
}

func (f Flow) v6() bool { return f.Local.Addr().Unmap().Is6() }

// Words of the network's order are read as the machine's by the generated types.
func words(a netip.Addr) (w [4]uint32) {
	b := a.As16()
	for i := range w {
		w[i] = binary.NativeEndian.Uint32(b[i*4:])
	}
	return w
}

func addrOf(w [4]uint32) netip.Addr {
	return netip.AddrFrom16(*(*[16]byte)(unsafe.Pointer(&w))).Unmap()
}

func swap(port uint16) uint16 { return port<<8 | port>>8 }

func (f Flow) bpf() bpfFlow {
	var b bpfFlow
	b.Local.W, b.Lport = words(f.Local.Addr()), swap(f.Local.Port())
	b.Remote.W, b.Rport = words(f.Remote.Addr()), swap(f.Remote.Port())
	return b
}

func flowOf(b bpfFlow) Flow {
	return Flow{netip.AddrPortFrom(addrOf(b.Local.W), swap(b.Lport)), netip.AddrPortFrom(addrOf(b.Remote.W), swap(b.Rport))}
}
