// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"

	"lazystate/backdoor/uapi"
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

func run(_ context.Context, args []string, _ io.Reader, _, stderr io.Writer) int {
	req, err := parse(args)
	if err != nil {
		fmt.Fprintf(stderr, "monitorkey: %v\nusage: monitorkey SLOT KEY\n", err)
		return 2
	}
	if err := give("/dev/backdoor", req); err != nil {
		fmt.Fprintf(stderr, "monitorkey: %v\n", err)
		return 1
	}
	return 0
}

func parse(args []string) (uapi.IOCKey, error) {
	req := uapi.IOCKey{Version: uapi.VersionMajor}
	if len(args) != 2 {
		return req, fmt.Errorf("%d arguments", len(args))
	}
	slot, err := strconv.ParseUint(args[0], 10, 32)
	if err != nil || slot >= uapi.Monitors {
		return req, fmt.Errorf("monitor slot %q: want 0 to %d", args[0], uapi.Monitors-1)
	}
	key, err := hex.DecodeString(args[1])
	if err != nil || len(key) != len(req.Key) {
		return req, fmt.Errorf("key %q: want %d bytes in hexadecimal", args[1], len(req.Key))
	}
	req.Monitor = uint32(slot)
	copy(req.Key[:], key)
	return req, nil
}

func give(device string, req uapi.IOCKey) error {
	f, err := os.OpenFile(device, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	b := req.Encode()
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), uapi.IoctlSetKey, uintptr(unsafe.Pointer(&b[0])))
	if errno != 0 {
		return fmt.Errorf("give monitor %d its key: %w", req.Monitor, errno)
	}
	return nil
}
