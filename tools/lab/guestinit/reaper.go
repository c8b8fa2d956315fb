// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"lazystate/tools/lab/wire"
)

// reaper starts processes and collects them, and every orphan too. One
// goroutine waits for all: a thread blocked in wait4 per process would need
// threads a full process table no longer gives.
type reaper struct {
	mu   sync.Mutex
	live map[int]*child
}

type child struct {
	pid  int
	exit int // valid once done is closed; 128+n: signal n
	done chan struct{}
}

func newReaper() *reaper {
	r := &reaper{live: map[int]*child{}}
	died := make(chan os.Signal, 1)
	signal.Notify(died, unix.SIGCHLD)
	go func() {
		for range died {
			r.collect()
		}
	}()
	return r
}

func (r *reaper) collect() {
	for {
		var st unix.WaitStatus
		pid, err := unix.Wait4(-1, &st, unix.WNOHANG, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || pid <= 0 {
			return
		}
		r.mu.Lock()
		if c := r.live[pid]; c != nil {
			c.exit = exitCode(st)
			close(c.done)
		}
		r.mu.Unlock()
	}
}

func exitCode(st unix.WaitStatus) int {
	if st.Signaled() {
		return 128 + int(st.Signal())
	}
	return st.ExitStatus()
}

// start runs p with the three files as its standard streams. The lock spans
// fork and registration, so the child cannot be collected unseen.
func (r *reaper) start(p wire.Proc, stdio [3]*os.File, ctty bool) (*child, error) {
	request, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	status, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer status.Close()
	attr := &syscall.ProcAttr{
		Dir:   "/",
		Files: []uintptr{stdio[0].Fd(), stdio[1].Fd(), stdio[2].Fd(), w.Fd()},
		Sys:   &syscall.SysProcAttr{Setsid: true, Setctty: ctty},
	}
	r.mu.Lock()
	pid, err := syscall.ForkExec("/init", []string{"/init", "spawn", string(request)}, attr)
	w.Close()
	if err != nil {
		r.mu.Unlock()
		return nil, fmt.Errorf("fork: %w", err)
	}
	c := &child{pid: pid, done: make(chan struct{})}
	r.live[pid] = c
	r.mu.Unlock()
	return c, r.started(c, p, status)
}

// started reads the wrapper's verdict: nothing means that exec succeeded.
func (r *reaper) started(c *child, p wire.Proc, status io.Reader) error {
	b, err := io.ReadAll(status)
	if err != nil || len(b) == 0 {
		return err
	}
	<-c.done
	r.forget(c)
	var errno int
	if n, _ := fmt.Sscanf(string(b), "%d", &errno); n == 1 && errno != 0 {
		return fmt.Errorf("%s: %w", p.Argv[0], syscall.Errno(errno))
	}
	_, text, _ := strings.Cut(string(b), " ")
	return fmt.Errorf("%s", text)
}

func (r *reaper) find(pid int) *child {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.live[pid]
}

func (r *reaper) forget(c *child) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.live, c.pid)
}

// console keeps a root shell on the serial line, a way in when the command
// channel fails, or a getty: the login whose loss the drills measure.
func (r *reaper) console(path string, login bool) {
	argv := []string{"/bin/sh", "-l"}
	if login {
		argv = []string{"/bin/getty", "-L", "0", "-", "linux"} // on its standard input, at the speed that it has
	}
	for ; ; time.Sleep(time.Second) {
		tty, err := os.OpenFile(path, os.O_RDWR|unix.O_NOCTTY, 0)
		if err != nil {
			continue
		}
		c, err := r.start(wire.Proc{Argv: argv}, [3]*os.File{tty, tty, tty}, true)
		tty.Close()
		if err == nil {
			<-c.done
			r.forget(c)
		}
	}
}
