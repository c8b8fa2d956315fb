// SPDX-License-Identifier: Apache-2.0

package leash

import (
	"os/exec"
	"runtime"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Start starts cmd, which gets sig when this process ends. wait is cmd.Wait, but may
// be called often, by any goroutine.
func Start(cmd *exec.Cmd, sig syscall.Signal) (wait func() error, err error) {
	return StartOn(func(f func() error) error {
		runtime.LockOSThread() // nobody else's to end before the process has
		defer runtime.UnlockOSThread()
		return f()
	}, cmd, sig)
}

// StartOn is Start where on runs a function: on a thread in a network namespace,
// say. The thread must be nobody else's until the function has returned.
func StartOn(on func(f func() error) error, cmd *exec.Cmd, sig syscall.Signal) (wait func() error, err error) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = sig
	started := make(chan error, 2) // a thread that is not to be had is told of by on
	go func() {
		started <- on(func() error {
			err := cmd.Start()
			if started <- err; err == nil {
				ended(cmd.Process.Pid)
			}
			return err
		})
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return sync.OnceValue(cmd.Wait), nil
}

// ended waits for a child's end and leaves the rest to cmd.Wait, which closes what
// is read through a StdoutPipe.
func ended(pid int) {
	for {
		if err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil); err != unix.EINTR {
			return // ECHILD: it has been waited for
		}
	}
}
