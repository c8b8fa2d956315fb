// SPDX-License-Identifier: Apache-2.0

package tcprepair

import (
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"
)

// A deaf socket has a filter that lets nothing through: a segment is dropped
// before TCP sees it, so there is no answer either.

// nothing is that filter in classic BPF, "ret 0".
var nothing = [...]unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K}}

// loadNothing is that filter as a program of the kernel, which is compiled once
// and not for every socket: 1 us instead of 8. It takes CAP_BPF, or a kernel that
// lets everybody; nil without.
func loadNothing() *ebpf.Program {
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "mtcp_deaf", Type: ebpf.SocketFilter, License: "GPL",
		Instructions: asm.Instructions{asm.LoadImm(asm.R0, 0, asm.DWord), asm.Return()},
	})
	if err != nil {
		return nil
	}
	return p
}

func (s *Stack) deafen(fd int) error {
	if s.nothing != nil {
		return setInt(fd, unix.SOL_SOCKET, unix.SO_ATTACH_BPF, s.nothing.FD(), "SO_ATTACH_BPF")
	}
	if err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &nothing[0]}); err != nil {
		return fmt.Errorf("attach a filter to the socket: %w", err)
	}
	return nil
}

func hear(fd int) error {
	return setInt(fd, unix.SOL_SOCKET, unix.SO_DETACH_FILTER, 0, "SO_DETACH_FILTER")
}
