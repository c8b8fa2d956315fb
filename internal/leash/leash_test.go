// SPDX-License-Identifier: Apache-2.0

package leash

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"syscall"
	"testing"
)

// ways are those to start a process.
var ways = map[string]func(*exec.Cmd, syscall.Signal) (func() error, error){
	"Start": Start,
	"StartOn": func(cmd *exec.Cmd, sig syscall.Signal) (func() error, error) {
		return StartOn(onThread, cmd, sig)
	},
}

// onThread runs f on a thread that ends with it, as one in a namespace does.
func onThread(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked
		done <- f()
	}()
	return <-done
}

// A process is there still when other threads have ended, and its end is told to
// everybody who asks.
func TestOutlivesThreads(t *testing.T) {
	for name, start := range ways {
		t.Run(name, func(t *testing.T) { outlivesThreads(t, start) })
	}
}

func outlivesThreads(t *testing.T, start func(*exec.Cmd, syscall.Signal) (func() error, error)) {
	cmd := exec.Command("cat")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	wait, err := start(cmd, syscall.SIGKILL)
	if err != nil {
		t.Fatal(err)
	}
	for range 100 {
		_ = onThread(func() error { return nil })
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

// What a process has said can be read when it has ended.
func TestLastWords(t *testing.T) {
	cmd := exec.Command("echo", "last words")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	wait, err := Start(cmd, syscall.SIGKILL)
	if err != nil {
		t.Fatal(err)
	}
	ended(cmd.Process.Pid)
	if b, err := io.ReadAll(out); string(b) != "last words\n" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	if err := wait(); err != nil {
		t.Error(err)
	}
}

func TestNotStarted(t *testing.T) {
	for name, start := range ways {
		if _, err := start(exec.Command("/no/such/program"), syscall.SIGKILL); err == nil {
			t.Errorf("%s: started", name)
		}
	}
	nowhere := errors.New("no such namespace")
	if _, err := StartOn(func(func() error) error { return nowhere }, exec.Command("true"), syscall.SIGKILL); err != nowhere {
		t.Errorf("%v", err)
	}
}
