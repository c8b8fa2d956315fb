// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"lazystate/tools/lab/wire"
)

// openPort opens the command channel, found by name as udev would. It is
// non-blocking, so that the runtime's poller waits and no thread does.
func openPort(bound time.Duration) (*os.File, error) {
	for end := time.Now().Add(bound); ; time.Sleep(2 * time.Millisecond) {
		if dev := findPort(); dev != "" {
			fd, err := unix.Open(dev, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
			if err == nil {
				return os.NewFile(uintptr(fd), dev), nil
			}
		}
		if time.Now().After(end) {
			return nil, fmt.Errorf("no virtio port %q after %v", wire.PortName, bound)
		}
	}
}

func findPort() string {
	names, _ := filepath.Glob("/sys/class/virtio-ports/*/name")
	for _, n := range names {
		if b, err := os.ReadFile(n); err == nil && strings.TrimSpace(string(b)) == wire.PortName {
			return "/dev/" + filepath.Base(filepath.Dir(n))
		}
	}
	return ""
}
