// SPDX-License-Identifier: Apache-2.0

// Setkey gives a monitor slot of this machine's module its key.
package main

import (
	"encoding/hex"
	"fmt"
	"os"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"

	"lazystate/backdoor/uapi"
)

func main() {
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "setkey:", err)
		os.Exit(1)
	}
}

func run(slot, key string) error {
	n, err := strconv.ParseUint(slot, 10, 32)
	if err != nil {
		return err
	}
	req := uapi.IOCKey{Version: uapi.VersionMajor, Monitor: uint32(n)}
	if _, err := hex.Decode(req.Key[:], []byte(key)); err != nil {
		return err
	}
	f, err := os.OpenFile("/dev/backdoor", os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	b := req.Encode()
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, f.Fd(), uapi.IoctlSetKey, uintptr(unsafe.Pointer(&b[0]))); e != 0 {
		return e
	}
	return nil
}
