// SPDX-License-Identifier: Apache-2.0

package tcprepair

import (
	"fmt"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"

	"lazystate/internal/sockaddr"
)

// ends returns a socket's addresses, if they mean something elsewhere.
func ends(fd int) (local, remote netip.AddrPort, err error) {
	if local, remote, err = sockaddr.Ends(fd); err == nil {
		err = checkAddrs(local, remote)
	}
	return local, remote, err
}

// disconnect is connect(AF_UNSPEC), which x/sys cannot say. In repair mode it
// sends nothing (net/ipv4/tcp.c, tcp_disconnect).
func disconnect(fd int) error {
	var sa unix.RawSockaddr // AF_UNSPEC
	_, _, e := unix.Syscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&sa)), unsafe.Sizeof(sa))
	if e != 0 {
		return fmt.Errorf("disconnect: %w", e)
	}
	return nil
}
