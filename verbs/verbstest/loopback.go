// SPDX-License-Identifier: Apache-2.0

package verbstest

import (
	"math/rand/v2"
	"net/netip"
)

// Loopback is an address of this host that most likely no other test has: RoCE
// devices all want the same port, and packages are tested beside each other.
func Loopback() netip.Addr {
	return netip.AddrFrom4([4]byte{127, byte(1 + rand.IntN(254)), byte(rand.IntN(256)), byte(1 + rand.IntN(254))})
}
