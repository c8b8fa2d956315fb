// SPDX-License-Identifier: Apache-2.0

package tcprepair

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"

	"lazystate/internal/seqnum"
)

// Not in x/sys: include/uapi/linux/tcp.h.
const (
	noQueue   = 0 // enum of TCP_REPAIR_QUEUE
	recvQueue = 1
	sendQueue = 2

	optMSS    = 2 // kinds of TCP options, RFC 9293 and 7323
	optScale  = 3
	optSACK   = 4
	optBlocks = 5
	optStamp  = 8

	infoTimestamps   = 1 // TCPI_OPT_*
	infoSACK         = 2
	infoScale        = 4
	infoMicroseconds = 64
)

// repairWindow is struct tcp_repair_window.
type repairWindow struct{ wl1, send, most, receive, wup uint32 }

// repairOpt is struct tcp_repair_opt.
type repairOpt struct{ code, val uint32 }

// getsockopt reads an option that is an int. There are dozens of a socket, and
// none sleeps: the scheduler is not told.
func getsockopt(fd, level, name int) (v int32, err error) {
	n := uint32(unsafe.Sizeof(v))
	_, _, e := unix.RawSyscall6(unix.SYS_GETSOCKOPT, uintptr(fd), uintptr(level), uintptr(name), uintptr(unsafe.Pointer(&v)), uintptr(unsafe.Pointer(&n)), 0)
	if e != 0 {
		return 0, e
	}
	return v, nil
}

// getStruct reads an option that is a struct as large as v.
func getStruct[T any](fd, level, name int, v *T) error {
	n := uint32(unsafe.Sizeof(*v))
	_, _, e := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), uintptr(level), uintptr(name), uintptr(unsafe.Pointer(v)), uintptr(unsafe.Pointer(&n)), 0)
	if e != 0 {
		return e
	}
	return nil
}

// setStructs sets an option that is one or more structs.
func setStructs[T any](fd, level, name int, v []T) error {
	var p unsafe.Pointer
	if len(v) > 0 {
		p = unsafe.Pointer(&v[0])
	}
	_, _, e := unix.Syscall6(unix.SYS_SETSOCKOPT, uintptr(fd), uintptr(level), uintptr(name), uintptr(p), uintptr(len(v))*unsafe.Sizeof(*new(T)), 0)
	if e != 0 {
		return e
	}
	return nil
}

func readWindow(fd int) (repairWindow, error) {
	var w repairWindow
	if err := getStruct(fd, unix.IPPROTO_TCP, unix.TCP_REPAIR_WINDOW, &w); err != nil {
		return w, fmt.Errorf("get TCP_REPAIR_WINDOW: %w", err)
	}
	return w, nil
}

// writeWindow: the kernel refuses a wl1 behind the window that is granted, which
// it may have itself: where memory is short it takes back what it granted
// (net/ipv4/tcp_output.c, tcp_select_window). An earlier one only makes the next
// segment's window count.
func writeWindow(fd int, w repairWindow) error {
	if seqnum.Value(w.wup).Less(seqnum.Value(w.wl1)) {
		w.wl1 = w.wup
	}
	if err := setStructs(fd, unix.IPPROTO_TCP, unix.TCP_REPAIR_WINDOW, []repairWindow{w}); err != nil {
		return fmt.Errorf("set TCP_REPAIR_WINDOW to %+v: %w", w, err)
	}
	return nil
}

// scales are bit fields, which x/sys leaves out of its TCPInfo: the byte behind
// tcpi_options.
func scales(info *unix.TCPInfo) (send, recv uint8) {
	b := *(*uint8)(unsafe.Add(unsafe.Pointer(info), unsafe.Offsetof(info.Options)+1))
	return b & 15, b >> 4
}

func tcpInfo(fd int) (*unix.TCPInfo, error) {
	info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		return nil, fmt.Errorf("get TCP_INFO: %w", err)
	}
	return info, nil
}

func selectQueue(fd, q int) error {
	return setInt(fd, unix.IPPROTO_TCP, unix.TCP_REPAIR_QUEUE, q, "TCP_REPAIR_QUEUE")
}
