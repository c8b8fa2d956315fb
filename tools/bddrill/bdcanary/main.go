// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"runtime"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"lazystate/backdoor/uapi"
)

const (
	every = 20 * time.Millisecond
	limit = time.Second // L

	sensorID = 100 // bdagent has the first ones of root
)

// The walk of a target sees the first thread of a process: it must be the one
// that waits.
func init() { runtime.LockOSThread() }

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bdcanary:", err)
		os.Exit(1)
	}
}

// run steps until it is killed, or waits for ever in a step.
func run() error {
	steps, err := progress("CANARY")
	if err != nil {
		return err
	}
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("socket: %w", err)
	}
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	for {
		// Setting the flags that it has already takes rtnl and changes nothing.
		lo.SetUint16(unix.IFF_UP | unix.IFF_LOOPBACK)
		if err := unix.IoctlIfreq(s, unix.SIOCSIFFLAGS, lo); err != nil {
			return fmt.Errorf("set the flags of lo: %w", err)
		}
		steps.Add(1)
		time.Sleep(every)
	}
}

// progress is new_sensor() of §3.4.1; set_sensor_value is a store to the word.
func progress(name string) (*atomic.Uint64, error) {
	// Never closed: a sensor without a descriptor is an orphan.
	fd, err := unix.Open("/dev/backdoor", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open the module's device: %w", err)
	}
	req := uapi.IOCSensor{Version: uapi.VersionMajor, ID: sensorID, Class: uapi.Progress, Limit: uint64(limit.Microseconds())}
	uapi.PutCString(req.Name[:], name)
	uapi.PutCString(req.Unit[:], "steps")
	buf := req.Encode()
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), uapi.IoctlNewSensor, uintptr(unsafe.Pointer(&buf[0]))); e != 0 {
		return nil, fmt.Errorf("create sensor %s: %w", name, e)
	}
	if err := req.Decode(buf); err != nil {
		return nil, err
	}
	page, err := unix.Mmap(fd, 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map the sensor: %w", err)
	}
	if uint64(req.Offset)+8 > uint64(len(page)) || req.Offset%8 != 0 {
		return nil, fmt.Errorf("create sensor %s: the module says offset %d", name, req.Offset)
	}
	return (*atomic.Uint64)(unsafe.Pointer(&page[req.Offset])), nil
}
