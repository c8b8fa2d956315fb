// SPDX-License-Identifier: Apache-2.0

package testbed

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"lazystate/internal/goprogram"
	"lazystate/internal/netrig"
	"lazystate/internal/syncbuf"
)

// built is where the programs are that run on the machines.
var built struct {
	sync.Mutex
	dir string
}

// programs builds them, if they are not there.
func programs() (string, error) {
	built.Lock()
	defer built.Unlock()
	if built.dir != "" {
		return built.dir, nil
	}
	dir, err := os.MkdirTemp("", "lazystate-testbed-")
	if err != nil {
		return "", err
	}
	err = goprogram.Build(context.Background(), dir, "lazystate/tools/scd", "lazystate/tools/mtcpd", "lazystate/examples/ttcp", "lazystate/examples/web", "lazystate/examples/auction")
	if err != nil {
		_ = os.RemoveAll(dir)
		return "", fmt.Errorf("build the daemons and servers: %w", err)
	}
	built.dir = dir
	return dir, nil
}

// Done removes what Run has built: the last thing that a bench does.
func Done() {
	built.Lock()
	defer built.Unlock()
	if built.dir != "" {
		_ = os.RemoveAll(built.dir)
		built.dir = ""
	}
}

// Process is one on a machine.
type Process struct {
	*exec.Cmd
	log  syncbuf.Buffer
	once sync.Once
}

// Self is the bench's own program, where the name of one is asked for.
const Self = ""

// start runs a program on a machine until the bed is taken down: one of those that were
// built, or whatever is at an absolute path.
func (b *Bed) start(h *netrig.Host, name string, args ...string) (*Process, error) {
	return b.startOn(h, nil, name, args...)
}

// startOn gives it a standard input; nil: there is none.
func (b *Bed) startOn(h *netrig.Host, in *os.File, name string, args ...string) (*Process, error) {
	path := name
	if !filepath.IsAbs(name) {
		path = filepath.Join(b.bin, name)
	}
	if name == Self {
		exe, err := os.Executable()
		if err != nil {
			return nil, err
		}
		path = exe
	}
	p := &Process{Cmd: exec.Command(path, args...)}
	p.Stderr = &p.log
	if in != nil {
		p.Stdin = in
	}
	p.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a death signal would come with the thread's end
	if err := h.Try(p.Start); err != nil {
		return nil, err
	}
	b.frame.Cleanup(p.Kill)
	return p, nil
}

// Kill is kill -9, of its children too.
func (p *Process) Kill() {
	p.once.Do(func() {
		_ = syscall.Kill(-p.Process.Pid, syscall.SIGKILL)
		_ = p.Wait()
	})
}

// Ended waits until the process has ended by itself, and says how.
func (p *Process) Ended(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = syscall.Kill(-p.Process.Pid, syscall.SIGKILL) })
	defer stop()
	var err error
	p.once.Do(func() { err = p.Wait() })
	return errors.Join(err, ctx.Err())
}

// Log is all that the process has written to stderr.
func (p *Process) Log() string { return p.log.String() }

// Said is the end of what the process has written to stderr.
func (p *Process) Said() string {
	s := p.log.String()
	return s[max(0, len(s)-2000):]
}

// durations are the values of a key in the lines that hold a text.
func (p *Process) durations(text, key string) (all []time.Duration) {
	for line := range strings.Lines(p.log.String()) {
		if !strings.Contains(line, text) {
			continue
		}
		for _, f := range strings.Fields(line) {
			if v, ok := strings.CutPrefix(f, key+"="); ok {
				if d, err := time.ParseDuration(v); err == nil {
					all = append(all, d)
				}
			}
		}
	}
	return all
}

// CPU is how long the process's threads have run so far.
func (p *Process) CPU() (sum time.Duration, err error) {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", p.Process.Pid))
	for _, t := range tasks {
		b, err := os.ReadFile(t)
		if err != nil {
			continue // it has just ended
		}
		ns, err := strconv.ParseInt(strings.Fields(string(b))[0], 10, 64)
		if err != nil {
			return 0, err
		}
		sum += time.Duration(ns)
	}
	return sum, err
}

// On runs this bench's own program on a machine, until it ends, and returns
// what it has printed.
func (b *Bed) On(ctx context.Context, h *netrig.Host, args ...string) ([]byte, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, exe, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := h.Try(cmd.Start); err != nil {
		return nil, err
	}
	if err := cmd.Wait(); err != nil {
		return nil, fmt.Errorf("%s on %s: %w: %s", args[0], h.Name, err, errs.Bytes())
	}
	return out.Bytes(), nil
}
