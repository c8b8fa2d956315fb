// SPDX-License-Identifier: Apache-2.0

package tcprepair

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

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
