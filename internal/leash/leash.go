// SPDX-License-Identifier: Apache-2.0

package leash

import (
	"os/exec"
	"runtime"
	"syscall"
)

// Start starts cmd, which gets sig when this process ends. wait is cmd.Wait, and
// may be called often, by any goroutine. It is waited for from the start: what comes
// through a StdoutPipe must be read before it ends.
func Start(cmd *exec.Cmd, sig syscall.Signal) (wait func() error, err error) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = sig
	started, ended := make(chan error, 1), make(chan struct{})
	var end error
	go func() {
		runtime.LockOSThread() // nobody else's to end before the process has
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			end = cmd.Wait()
			close(ended)
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return func() error { <-ended; return end }, nil
}
