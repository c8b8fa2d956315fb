// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"lazystate/internal/freeport"
	"lazystate/internal/leash"
	"lazystate/mtcp/cbox"
	"lazystate/mtcp/cbox/cboxtest"
)

const hang = 60 * time.Second

var le = binary.LittleEndian

// The test's own binary plays the server's processes.
func TestMain(m *testing.M) {
	if role := os.Getenv("KEEPER_ROLE"); role != "" {
		err := map[string]func(*Client) error{"front": frontEnd, "back": backEnd, "http": webServer, "half": halfServer}[role](must(Dial(os.Getenv("KEEPER_SOCKET"), role)))
		_, _ = fmt.Fprintf(os.Stderr, "Go %s: %v\n", role, err)
		os.Exit(1)
	}
	code := m.Run()
	cboxtest.Clean()
	os.Exit(code)
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// kept is a keeper and its socket.
func kept(t *testing.T, cfg Config) (*Keeper, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "scd")
	return keptAt(t, path, cfg), path
}

func keptAt(t *testing.T, path string, cfg Config) *Keeper {
	t.Helper()
	l, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: path, Net: "unixpacket"})
	if err != nil {
		t.Fatal(err)
	}
	cfg.Log = slog.New(slog.DiscardHandler)
	k := New(cfg)
	served := make(chan error, 1)
	go func() { served <- k.Serve(l) }()
	t.Cleanup(func() {
		_ = l.Close()
		k.Close()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return k
}

func step(s, v uint64) uint64 { s = (s ^ v) * 0x9e3779b97f4a7c15; return s ^ s>>29 }

func frontEnd(c *Client) error {
	l, err := c.Listen(context.Background(), "tcp", "127.0.0.1:"+os.Getenv("KEEPER_PORT"), cbox.Config{Processes: 2, Channels: 1})
	if err != nil {
		return err
	}
	for {
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		go serve("front", conn.(*cbox.Conn), func() error { return front(c, conn.(*cbox.Conn)) })
	}
}

func backEnd(c *Client) error {
	for {
		p, err := c.Take()
		if err != nil {
			return err
		}
		s, err := cbox.Open(p.Region, p.Slot, c.Config(cbox.Config{}))
		if errors.Is(err, net.ErrClosed) {
			continue
		}
		if err != nil {
			return err
		}
		go serve("back", s, func() error { return back(s) })
	}
}

func serve(what string, c io.Closer, f func() error) {
	err := f()
	if errors.Is(err, cbox.ErrMigrated) {
		fmt.Println("EMIGRATED")
		return
	}
	if errors.Is(err, net.ErrClosed) {
		return
	}
	if err == io.EOF || errors.Is(err, syscall.ECONNRESET) {
		err = c.Close()
	}
	if err != nil && !errors.Is(err, net.ErrClosed) {
		_, _ = fmt.Fprintf(os.Stderr, "Go %s: %v\n", what, err)
		os.Exit(1)
	}
}

func front(client *Client, c *cbox.Conn) error {
	var n uint64
	if b, ok := c.Import(); ok {
		n = le.Uint64(b)
	}
	child, err := c.Associate("back", 1)
	if err != nil {
		return err
	}
	if err := client.Hand(c.Session, child); err != nil {
		return err
	}
	ch, b := child.Channels[0], make([]byte, 8)
	for {
		if _, err := io.ReadFull(c, b); err != nil {
			if err == io.EOF {
				_ = ch.CloseWrite()
			}
			return err
		}
		if _, err := ch.Write(b); err != nil {
			return err
		}
		if _, err := io.ReadFull(ch, b); err != nil {
			return err
		}
		if _, err := c.Write(b); err != nil {
			return err
		}
		if n++; n%3 == 0 {
			if err := c.Export(le.AppendUint64(nil, n)); err != nil {
				return err
			}
		}
	}
}

func back(s *cbox.Session) error {
	var n, state uint64
	if b, ok := s.Import(); ok {
		n, state = le.Uint64(b), le.Uint64(b[8:])
	}
	ch, b := s.Channels()[0], make([]byte, 8)
	for {
		if _, err := io.ReadFull(ch, b); err != nil {
			return err
		}
		state = step(state, le.Uint64(b))
		if _, err := ch.Write(le.AppendUint64(nil, state)); err != nil {
			return err
		}
		if n++; n%2 == 0 {
			if err := s.Export(le.AppendUint64(le.AppendUint64(nil, n), state)); err != nil {
				return err
			}
		}
	}
}

// server is one of the processes.
type server struct {
	*exec.Cmd
	wait func() error
	role string
	out  *bufio.Reader
}

// says waits for a line.
func (s *server) says(t testing.TB, want string) {
	t.Helper()
	got := make(chan string, 1)
	go func() {
		line, _ := s.out.ReadString('\n')
		got <- line
	}()
	select {
	case line := <-got:
		if line != want+"\n" {
			t.Errorf("a process in role %s says %q", s.role, line)
		}
	case <-time.After(hang):
		t.Errorf("a process in role %s does not say %s", s.role, want)
	}
}

func started(t testing.TB, role, lang, socket string, port int) *server {
	t.Helper()
	var cmd *exec.Cmd
	if lang == "C" {
		cmd = exec.Command(cboxtest.Program(t, "testdata/c/service.c", cboxtest.Sanitized), role, socket)
		if role == "front" {
			cmd.Args = append(cmd.Args, strconv.Itoa(port))
		}
	} else {
		cmd = exec.Command(must(os.Executable()))
		cmd.Env = append(os.Environ(), "KEEPER_ROLE="+role, "KEEPER_SOCKET="+socket, "KEEPER_PORT="+strconv.Itoa(port))
	}
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	wait, err := leash.Start(cmd, syscall.SIGKILL)
	if err != nil {
		t.Fatal(err)
	}
	s := &server{cmd, wait, role, bufio.NewReader(out)}
	t.Cleanup(func() { s.kill(t) })
	return s
}

// kill fails the test if the process had given up by itself.
func (s *server) kill(t testing.TB) {
	_ = s.Process.Kill()
	if err := s.wait(); err != nil && s.ProcessState.ExitCode() > 0 {
		t.Errorf("a process in role %s ended with code %d", s.role, s.ProcessState.ExitCode())
	}
}

// dial waits for the server to listen.
func dial(t testing.TB, port int) *net.TCPConn {
	t.Helper()
	for until := time.Now().Add(hang); ; time.Sleep(5 * time.Millisecond) {
		c, err := net.Dial("tcp", "127.0.0.1:"+strconv.Itoa(port))
		if err == nil {
			_ = c.SetDeadline(time.Now().Add(2 * hang))
			t.Cleanup(func() { c.Close() })
			return c.(*net.TCPConn)
		}
		if time.Now().After(until) {
			t.Fatal(err)
		}
	}
}

// converse checks requests from..to of a client: answers depend on all before.
func converse(c net.Conn, from, to int, state uint64) (uint64, error) {
	b := make([]byte, 8)
	for i := from; i < to; i++ {
		v := uint64(i) * 0x123456789
		if _, err := c.Write(le.AppendUint64(nil, v)); err != nil {
			return state, err
		}
		if _, err := io.ReadFull(c, b); err != nil {
			return state, fmt.Errorf("answer %d: %w", i, err)
		}
		if state = step(state, v); le.Uint64(b) != state {
			return state, fmt.Errorf("answer %d is wrong", i)
		}
	}
	return state, nil
}

func toldTheEnd(err error) bool { return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, io.EOF) }

// A service of front ends and back ends, each killed at random again and again;
// the keeper hands all they had to the next, in C and in Go by turns. Clients
// come all the time, also while nobody accepts. One whose process is killed between
// accept and its word to the keeper is told so, and comes again (docs/sessions.md).
func TestServiceIsKilled(t *testing.T) {
	for name, langs := range map[string][]string{"Go": {"Go"}, "C": {"C"}, "by turns": {"C", "Go"}} {
		t.Run(name, func(t *testing.T) { killService(t, langs) })
	}
}

func killService(t *testing.T, langs []string) {
	const sessions, enough = 16, 12
	k, socket := kept(t, Config{})
	port := freeport.Pick(t)
	n := 0
	start := func(role string) *server {
		n++
		return started(t, role, langs[n%len(langs)], socket, port)
	}
	procs := []*server{start("front"), start("back")}
	dial(t, port).Close()
	var wg sync.WaitGroup
	var killed, unkept atomic.Int32
	for range sessions {
		wg.Go(func() {
			c := dial(t, port)
			state, err := converse(c, 0, 1, 0)
			for toldTheEnd(err) && unkept.Add(1) <= enough { // one at most for each kill
				c = dial(t, port)
				state, err = converse(c, 0, 1, 0)
			}
			for i := 1; err == nil && (i == 1 || killed.Load() < enough); i += 10 {
				state, err = converse(c, i, i+10, state)
			}
			if err != nil {
				t.Error(err)
			}
			_ = c.CloseWrite()
			if n, err := c.Read(make([]byte, 1)); n != 0 || err != io.EOF {
				t.Errorf("at the end: %d bytes, %v", n, err)
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	rng := rand.New(rand.NewPCG(4, 4))
	for {
		select {
		case <-done:
			if !k.Wait(hang, func(i []Info) bool { return len(i) == 0 }) {
				t.Errorf("it still holds %v", k.Sessions())
			}
			return
		case <-time.After(time.Duration(20+rng.IntN(60)) * time.Millisecond):
			if killed.Load() < enough {
				i := rng.IntN(2)
				procs[i].kill(t)
				procs[i] = start(procs[i].role)
				killed.Add(1)
			}
		}
	}
}
