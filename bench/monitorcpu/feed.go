// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"lazystate/backdoor/uapi"
	"lazystate/bench/guest"
	"lazystate/internal/leash"
)

// feedCommand is how this program starts itself as the target's side: a process
// of its own, so that its CPU time is not the monitor's.
const feedCommand = "feed"

// startFeed moves every sensor of f a thousand times a second until stop.
func startFeed(ctx context.Context, f *guest.Files) (stop func() error, err error) {
	box, err := f.Target.Region(uapi.KindSensorbox)
	if err != nil {
		return nil, err
	}
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, exe, feedCommand, f.RAM(), strconv.FormatUint(box.GPA, 10), strconv.Itoa(len(f.Sensors)))
	cmd.Stderr = os.Stderr
	wait, err := leash.Start(cmd, syscall.SIGKILL)
	if err != nil {
		return nil, err
	}
	return func() error {
		err := cmd.Process.Kill()
		var killed *exec.ExitError
		if werr := wait(); !errors.As(werr, &killed) || killed.Exited() {
			err = errors.Join(err, fmt.Errorf("the feed has ended by itself: %v", cmd.ProcessState), werr)
		}
		return err
	}, nil
}

func feedMain(args []string, stderr io.Writer) int {
	if err := feed(args); err != nil {
		fmt.Fprintf(stderr, "monitorcpu: feed: %v\n", err)
		return 1
	}
	return 0
}

// feed maps the RAM file and increments the V of the first n records of the
// box at off, for ever.
func feed(args []string) error {
	if len(args) != 3 {
		return fmt.Errorf("%d arguments", len(args))
	}
	off, err := strconv.ParseUint(args[1], 10, 64)
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	file, err := os.OpenFile(args[0], os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	page := int64(off &^ 4095)
	size := int(off) - int(page) + uapi.SboxPages*4096
	m, err := unix.Mmap(int(file.Fd()), page, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return fmt.Errorf("map %d bytes at %d: %w", size, page, err)
	}
	box := m[int64(off)-page:]
	for range time.Tick(time.Millisecond) {
		for i := range n {
			v := &box[uapi.SboxSize+i*uapi.SensorSize+uapi.SensorValueOff]
			atomic.AddUint64((*uint64)(unsafe.Pointer(v)), 1)
		}
	}
	return nil
}
