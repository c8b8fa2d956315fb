// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"lazystate/tools/lab/wire"
)

// statusFD is where "init spawn" reports why it could not execute the program;
// it is closed by a successful exec.
const statusFD = 3

var limits = map[string]int{
	"as": unix.RLIMIT_AS, "core": unix.RLIMIT_CORE, "cpu": unix.RLIMIT_CPU, "data": unix.RLIMIT_DATA,
	"fsize": unix.RLIMIT_FSIZE, "memlock": unix.RLIMIT_MEMLOCK, "nofile": unix.RLIMIT_NOFILE,
	"nproc": unix.RLIMIT_NPROC, "stack": unix.RLIMIT_STACK, "rtprio": unix.RLIMIT_RTPRIO,
}

// spawnMain turns a copy of init into an ordinary process and executes the
// program. It runs in init's own class until the last step, so that a start
// does not queue behind the fork bomb it is to be started beside.
func spawnMain(request string) {
	runtime.LockOSThread()
	var p wire.Proc
	err := json.Unmarshal([]byte(request), &p)
	if err == nil {
		err = become(p)
	}
	f := os.NewFile(statusFD, "status")
	errno := 0
	if e, ok := err.(syscall.Errno); ok {
		errno = int(e)
	}
	fmt.Fprintf(f, "%d %v", errno, err)
	os.Exit(127)
}

func become(p wire.Proc) error {
	unix.CloseOnExec(statusFD)
	if len(p.Argv) == 0 {
		return unix.EINVAL
	}
	env := append([]string{"PATH=" + searchPath, "HOME=/root", "TERM=linux"}, p.Env...)
	os.Setenv("PATH", searchPath)
	path, err := exec.LookPath(p.Argv[0])
	if err != nil {
		return err
	}
	if err := os.Chdir(cmp.Or(p.Dir, "/")); err != nil {
		return err
	}
	if err := restrict(p); err != nil {
		return err
	}
	if err := setIDs(p.UID); err != nil {
		return err
	}
	return syscall.Exec(path, p.Argv, env)
}

const searchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// restrict applies what needs root, before the uid changes.
func restrict(p wire.Proc) error {
	if err := os.WriteFile("/proc/self/oom_score_adj", []byte(strconv.Itoa(p.OOMAdj)), 0); err != nil {
		return err
	}
	for name, value := range p.Limits {
		which, ok := limits[name]
		if !ok {
			return fmt.Errorf("no limit is called %q", name)
		}
		if err := unix.Setrlimit(which, &unix.Rlimit{Cur: value, Max: value}); err != nil {
			return fmt.Errorf("limit %s: %w", name, err)
		}
	}
	if err := pin(p.CPUs); err != nil {
		return err
	}
	if err := unix.Setpriority(unix.PRIO_PROCESS, 0, p.Nice); err != nil {
		return err
	}
	if p.FIFO > 0 {
		return setFIFO(p.FIFO)
	}
	return setScheduler(schedOther, 0)
}

const schedOther = 0

func pin(cpus []int) error {
	if len(cpus) == 0 {
		return nil
	}
	var set unix.CPUSet
	for _, c := range cpus {
		set.Set(c)
	}
	return unix.SchedSetaffinity(0, &set)
}

func setIDs(uid int) error {
	if uid == 0 {
		return nil
	}
	if err := syscall.Setgroups(nil); err != nil {
		return err
	}
	if err := syscall.Setgid(uid); err != nil {
		return err
	}
	return syscall.Setuid(uid)
}
