// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"lazystate/tools/lab/wire"
)

// Proc is a process to run in the guest.
type Proc = wire.Proc

// Status is the guest's own view of itself.
type Status = wire.Status

// Result is what a process in the guest did.
type Result struct {
	Stdout, Stderr string
	Exit           int // 128+n: killed by signal n
}

// Run runs a program as root to its end. An exit other than 0 is no error.
func (vm *VM) Run(ctx context.Context, argv ...string) (Result, error) {
	return vm.RunProc(ctx, Proc{Argv: argv}, nil)
}

// RunProc is Run with everything a Proc can say and an optional input.
func (vm *VM) RunProc(ctx context.Context, p Proc, stdin io.Reader) (Result, error) {
	var out, errs bytes.Buffer
	exit, err := vm.Stream(ctx, p, stdin, &out, &errs)
	return Result{Stdout: out.String(), Stderr: errs.String(), Exit: exit}, err
}

// Stream runs a program with its streams connected to the caller's. When ctx
// ends, the process group is killed.
func (vm *VM) Stream(ctx context.Context, p Proc, stdin io.Reader, stdout, stderr io.Writer) (int, error) {
	if stdin == nil {
		stdin = strings.NewReader("")
	}
	r, err := vm.ch.do(ctx, wire.Request{Op: wire.OpRun, Proc: &p}, stdin, stdout, stderr)
	return r.Exit, err
}

// Must runs a program and returns its output; any exit but 0 is an error.
func (vm *VM) Must(ctx context.Context, argv ...string) (string, error) {
	r, err := vm.Run(ctx, argv...)
	if err == nil && r.Exit != 0 {
		err = fmt.Errorf("%s: exit %d: %s", strings.Join(argv, " "), r.Exit, strings.TrimSpace(r.Stderr))
	}
	return r.Stdout, err
}

// Start leaves a process running in the guest, in a session of its own.
func (vm *VM) Start(ctx context.Context, p Proc) (pid int, err error) {
	r, err := vm.ask(ctx, answerBound, wire.Request{Op: wire.OpStart, Proc: &p}, nil, nil)
	return r.PID, err
}

// Wait waits for a process of Start and returns its exit code.
func (vm *VM) Wait(ctx context.Context, pid int) (int, error) {
	r, err := vm.ch.do(ctx, wire.Request{Op: wire.OpWait, PID: pid}, nil, nil, nil)
	return r.Exit, err
}

// Kill signals a process; a negative pid is a group. It needs no fork.
func (vm *VM) Kill(ctx context.Context, pid int, sig syscall.Signal) error {
	return vm.builtIn(ctx, wire.Request{Op: wire.OpKill, PID: pid, Signal: int(sig)})
}

// answerBound is how long a request is waited for that starts no program: a
// guest that hangs must end a test with an error, not with the test's time.
const answerBound = 60 * time.Second

// leastRate of a copy into the guest, bytes per second: emulated, under load.
const leastRate = 256 << 10

func (vm *VM) builtIn(ctx context.Context, r wire.Request) error {
	_, err := vm.ask(ctx, answerBound, r, nil, nil)
	return err
}

func (vm *VM) ask(ctx context.Context, bound time.Duration, r wire.Request, in io.Reader, out io.Writer) (wire.Reply, error) {
	bounded, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	reply, err := vm.ch.do(bounded, r, in, out, nil)
	if err != nil && ctx.Err() == nil && bounded.Err() != nil {
		err = fmt.Errorf("no answer for %v: %w%s", bound, err, vm.lastWords())
	}
	return reply, err
}

// text is a request whose answer may be longer than a frame.
func (vm *VM) text(ctx context.Context, r wire.Request) (string, error) {
	var b bytes.Buffer
	reply, err := vm.ask(ctx, answerBound, r, nil, &b)
	return b.String() + reply.Text, err
}

// Put copies a host file into the guest with its permissions.
func (vm *VM) Put(ctx context.Context, host, guest string) error {
	f, err := os.Open(host)
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	return vm.put(ctx, f, st.Size(), guest, st.Mode().Perm())
}

// WriteFile writes a file of the guest; also one of /proc or /sys.
func (vm *VM) WriteFile(ctx context.Context, guest string, content []byte, perm os.FileMode) error {
	return vm.put(ctx, bytes.NewReader(content), int64(len(content)), guest, perm)
}

func (vm *VM) put(ctx context.Context, r io.Reader, size int64, guest string, perm os.FileMode) error {
	bound := answerBound + time.Duration(size/leastRate)*time.Second
	_, err := vm.ask(ctx, bound, wire.Request{Op: wire.OpPut, Path: guest, Mode: uint32(perm)}, r, nil)
	return err
}

// ReadFile returns a file of the guest; also one of /proc or /sys.
func (vm *VM) ReadFile(ctx context.Context, guest string) ([]byte, error) {
	var b bytes.Buffer
	_, err := vm.ask(ctx, answerBound, wire.Request{Op: wire.OpGet, Path: guest}, nil, &b)
	return b.Bytes(), err
}

// Get copies a file of the guest to the host.
func (vm *VM) Get(ctx context.Context, guest, host string) error {
	b, err := vm.ReadFile(ctx, guest)
	if err != nil {
		return err
	}
	return os.WriteFile(host, b, 0o600)
}

// Insmod copies a module into the guest and inserts it.
func (vm *VM) Insmod(ctx context.Context, hostKo string, params ...string) error {
	guest := "/lib/modules/" + filepath.Base(hostKo)
	if err := vm.Put(ctx, hostKo, guest); err != nil {
		return err
	}
	return vm.builtIn(ctx, wire.Request{Op: wire.OpInsmod, Path: guest, Argv: params})
}

// Rmmod removes modules, in this order.
func (vm *VM) Rmmod(ctx context.Context, names ...string) error {
	return vm.builtIn(ctx, wire.Request{Op: wire.OpRmmod, Argv: names})
}
