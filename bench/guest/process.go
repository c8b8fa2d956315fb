// SPDX-License-Identifier: Apache-2.0

package guest

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// userHZ is the same on every Linux that Go runs on.
const userHZ = 100

// process is what a stat file of proc(5) says, to a hundredth of a second.
type process struct {
	cpu     time.Duration // utime and stime
	started time.Duration // since the host's boot
}

// CPUTime is what the guest's QEMU has used of the host.
func (g *Guest) CPUTime() (time.Duration, error) {
	p, err := stat(g.VM.Info().QEMUPID)
	return p.cpu, err
}

// Age is how long ago the guest's QEMU was started.
func (g *Guest) Age() (time.Duration, error) {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &now); err != nil {
		return 0, err
	}
	p, err := stat(g.VM.Info().QEMUPID)
	return time.Duration(now.Nano()) - p.started, err
}

func stat(pid int) (process, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return process{}, err
	}
	p, err := parseStat(b)
	if err != nil {
		return p, fmt.Errorf("process %d: %w", pid, err)
	}
	return p, nil
}

func parseStat(b []byte) (p process, err error) {
	// The command's name may hold blanks; the fields count from behind it.
	f := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	if len(f) < 20 {
		return p, fmt.Errorf("%d fields in stat", len(f))
	}
	var ticks [3]int64 // utime, stime, starttime
	for i, field := range [...]int{11, 12, 19} {
		if ticks[i], err = strconv.ParseInt(string(f[field]), 10, 64); err != nil {
			return p, err
		}
	}
	return process{cpu: time.Duration(ticks[0]+ticks[1]) * (time.Second / userHZ), started: time.Duration(ticks[2]) * (time.Second / userHZ)}, nil
}
