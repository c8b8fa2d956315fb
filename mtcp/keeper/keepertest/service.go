// SPDX-License-Identifier: Apache-2.0

package keepertest

import (
	"context"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"lazystate/internal/freeport"
	"lazystate/internal/leash"
	"lazystate/mtcp/keeper"
)

// Hang is how long a test waits for what must come.
const Hang = 2 * time.Minute

const asServer = "KEEPERTEST_SERVER"

// Main is a package's TestMain, for a command with this run function; after is
// what is done when the tests have ended.
func Main(m interface{ Run() int }, run func(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int, after ...func()) {
	if os.Getenv(asServer) != "" {
		os.Exit(run(context.Background(), os.Args, os.Stdin, os.Stdout, os.Stderr))
	}
	code := m.Run()
	for _, f := range after {
		f()
	}
	os.Exit(code)
}

// Servers has processes that are started as this binary be servers, whoever starts them.
func Servers(t testing.TB) { t.Setenv(asServer, "1") }

// Service is a keeper, and one command whose processes replace one another.
type Service struct {
	Keeper *keeper.Keeper
	Socket string // of the keeper
	Addr   string // for the command to listen at

	t    testing.TB
	args []string

	mu   sync.Mutex
	proc *Process
}

// New makes the keeper and finds an address.
func New(t testing.TB, cfg keeper.Config) *Service {
	t.Helper()
	s := &Service{t: t, Socket: filepath.Join(t.TempDir(), "scd"), Addr: freeport.Addr(t)}
	l, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: s.Socket, Net: "unixpacket"})
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	s.Keeper = keeper.New(cfg)
	served := make(chan error, 1)
	go func() { served <- s.Keeper.Serve(l) }()
	t.Cleanup(func() {
		_ = l.Close()
		s.Keeper.Close()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return s
}

// Run starts the first process and waits until it listens.
func (s *Service) Run(args ...string) {
	s.t.Helper()
	s.args = args
	s.Next()
	for until := time.Now().Add(Hang); ; time.Sleep(5 * time.Millisecond) {
		c, err := net.Dial("tcp", s.Addr)
		if err == nil {
			_ = c.Close()
			return
		}
		if time.Now().After(until) {
			s.t.Fatal(err)
		}
	}
}

// Process is the one that there is now.
func (s *Service) Process() *Process {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.proc
}

// Next starts another process of the service, and returns the one before; nil
// before the first.
func (s *Service) Next() *Process {
	s.t.Helper()
	p := Start(s.t, s.args...)
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.proc
	s.proc = p
	return before
}

// Process is one of a server.
type Process struct {
	*exec.Cmd
	t    testing.TB
	done chan struct{}
	err  error
}

// Start starts the test's own binary as the command.
func Start(t testing.TB, args ...string) *Process {
	t.Helper()
	return Go(t, Command(t, args...))
}

// Command prepares what Start starts.
func Command(t testing.TB, args ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, args...)
	cmd.Env = append(os.Environ(), asServer+"=1")
	return cmd
}

// Go starts a command that has been prepared. It is killed at the end of the
// test, and must not have failed by then.
func Go(t testing.TB, cmd *exec.Cmd) *Process {
	t.Helper()
	return begun(t, cmd, leash.Start)
}

// GoOn is Go where on runs a function, as netrig's Host.Try.
func GoOn(t testing.TB, on func(f func() error) error, cmd *exec.Cmd) *Process {
	t.Helper()
	return begun(t, cmd, func(cmd *exec.Cmd, sig syscall.Signal) (func() error, error) { return leash.StartOn(on, cmd, sig) })
}

func begun(t testing.TB, cmd *exec.Cmd, start func(*exec.Cmd, syscall.Signal) (func() error, error)) *Process {
	t.Helper()
	if cmd.Stderr == nil {
		cmd.Stderr = os.Stderr
	}
	wait, err := start(cmd, syscall.SIGKILL)
	if err != nil {
		t.Fatal(err)
	}
	p := &Process{cmd, t, make(chan struct{}), nil}
	go func() {
		p.err = wait()
		close(p.done)
	}()
	t.Cleanup(p.Kill)
	return p
}

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Kill kills the process, and fails the test if it had failed by itself.
func (p *Process) Kill() { p.end(syscall.SIGKILL) }

// Stop ends it as an operator would, with SIGTERM.
func (p *Process) Stop() { p.end(syscall.SIGTERM) }

func (p *Process) end(sig syscall.Signal) {
	p.t.Helper()
	_ = p.Process.Signal(sig)
	<-p.done
	if p.err != nil && p.ProcessState.ExitCode() > 0 {
		p.t.Errorf("%v: %v", p.Args, p.err)
	}
}
