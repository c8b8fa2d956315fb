// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"lazystate/tools/lab/wire"
)

func status() (*wire.Status, error) {
	var si unix.Sysinfo_t
	if err := unix.Sysinfo(&si); err != nil {
		return nil, err
	}
	var up unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &up); err != nil {
		return nil, err
	}
	unit := int64(si.Unit)
	return &wire.Status{
		UptimeNs: up.Nano(), UnixNs: time.Now().UnixNano(),
		Release: readLine("/proc/sys/kernel/osrelease"), Load: readLine("/proc/loadavg"),
		Procs: int(si.Procs), FreeKiB: int64(si.Freeram) * unit >> 10, SwapKiB: int64(si.Freeswap) * unit >> 10,
	}, nil
}

// processes lists pid, ppid, uid, state and comm, one a line. It reads one
// directory and one small file a process and forks nothing.
func processes() (string, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		var st unix.Stat_t
		if unix.Stat("/proc/"+e.Name(), &st) != nil {
			continue // it has ended
		}
		comm, state, ppid, ok := readStat(pid)
		if ok {
			fmt.Fprintf(&b, "%d %d %d %s %s\n", pid, ppid, st.Uid, state, comm)
		}
	}
	return b.String(), nil
}

// readStat takes comm between the first "(" and the last ")": a process may
// call itself anything.
func readStat(pid int) (comm, state string, ppid int, ok bool) {
	s, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", "", 0, false
	}
	open, end := bytes.IndexByte(s, '('), bytes.LastIndexByte(s, ')')
	if open < 0 || end < open {
		return "", "", 0, false
	}
	rest := strings.Fields(string(s[end+1:]))
	if len(rest) < 2 {
		return "", "", 0, false
	}
	ppid, err = strconv.Atoi(rest[1])
	return strconv.Quote(string(s[open+1 : end])), rest[0], ppid, err == nil
}
