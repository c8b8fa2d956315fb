// SPDX-License-Identifier: Apache-2.0

package leash

import (
	"bufio"
	"fmt"
	"os/exec"
	"runtime"
	"syscall"
	"testing"
)

// A process is there still when other threads have ended, and its end is told to
// everybody who asks.
func TestOutlivesThreads(t *testing.T) {
	cmd := exec.Command("cat")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	wait, err := Start(cmd, syscall.SIGKILL)
	if err != nil {
		t.Fatal(err)
	}
	for range 100 {
		done := make(chan struct{})
		go func() {
			defer close(done)
			runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		}()
		<-done
	}
	fmt.Fprintln(in, "alive") // or it is not heard
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "alive\n" {
		t.Errorf("%q, %v", line, err)
	}
	in.Close()
	for range 2 {
		if err := wait(); err != nil {
			t.Error(err)
		}
	}
}

func TestNoSuchProgram(t *testing.T) {
	if _, err := Start(exec.Command("/no/such/program"), syscall.SIGKILL); err == nil {
		t.Error("started")
	}
}
