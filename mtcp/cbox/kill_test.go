// SPDX-License-Identifier: Apache-2.0

package cbox

import (
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lazystate/internal/leash"
	"lazystate/mtcp/cbox/cboxtest"
)

// The test's own binary plays the server processes that are killed.
func TestMain(m *testing.M) {
	if role := os.Getenv("CBOX_ROLE"); role != "" {
		c, err := net.FileConn(os.NewFile(3, "keeper"))
		if err == nil {
			err = map[string]func(*net.UnixConn) error{"root": rootProcess, "back end": backEnd, "export": exporter, "driver": drive}[role](c.(*net.UnixConn))
		}
		if err != nil {
			_, _ = io.WriteString(os.Stderr, role+": "+err.Error()+"\n")
			os.Exit(1)
		}
		os.Exit(0)
	}
	code := m.Run()
	cboxtest.Clean()
	os.Exit(code)
}

// process is one of them.
type process struct {
	cmd  *exec.Cmd
	wait func() error
	conn *net.UnixConn
}

func spawn(t testing.TB, role string, env ...string) *process {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(append(os.Environ(), env...), "CBOX_ROLE="+role)
	return start(t, cmd)
}

// start starts a process that has the other end of conn as descriptor 3.
func start(t testing.TB, cmd *exec.Cmd) *process {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	theirs := os.NewFile(uintptr(fds[1]), "theirs")
	defer theirs.Close()
	ours := os.NewFile(uintptr(fds[0]), "ours")
	defer ours.Close()
	c, err := net.FileConn(ours)
	if err != nil {
		t.Fatal(err)
	}
	cmd.ExtraFiles = []*os.File{theirs}
	cmd.Stderr = os.Stderr
	wait, err := leash.Start(cmd, syscall.SIGKILL)
	if err != nil {
		t.Fatal(err)
	}
	p := &process{cmd, wait, c.(*net.UnixConn)}
	t.Cleanup(func() { p.kill(t) })
	return p
}

// kill fails the test if the process had given up by itself.
func (p *process) kill(t testing.TB) {
	_ = p.cmd.Process.Kill()
	_ = p.wait()
	_ = p.conn.Close()
	if code := p.cmd.ProcessState.ExitCode(); code > 0 {
		t.Errorf("%v ended with code %d", p.cmd, code)
	}
}

func step(s, v uint64) uint64 { s = (s ^ v) * 0x9e3779b97f4a7c15; return s ^ s>>29 }

// rootProcess answers requests of 8 bytes; each answer depends on all requests
// before it, and some on a choice that is drawn.
func rootProcess(keeper *net.UnixConn) error {
	p, err := Take(keeper)
	if err != nil {
		return err
	}
	c, err := Resume(p.Region, p.Conn, Config{})
	if err != nil {
		return err
	}
	var state, n, drawing uint64
	if b, ok := c.Import(); ok {
		state, n, drawing = le.Uint64(b), le.Uint64(b[8:]), le.Uint64(b[16:])
	}
	snapshot := func() []byte { return le.AppendUint64(le.AppendUint64(le.AppendUint64(nil, state), n), drawing) }
	b := make([]byte, 8)
	for ; ; drawing = 0 {
		if drawing == 0 { // else it died in mid-answer, and this is where it goes on
			if _, err := io.ReadFull(c, b); err == io.EOF {
				return c.Close()
			} else if err != nil {
				return err
			}
			state, n = step(state, le.Uint64(b)), n+1
			if n%5 == 0 {
				drawing = 1
				if err := c.ExportNDI(snapshot()); err != nil {
					return err
				}
			}
		}
		if drawing == 1 {
			state = step(state, rand.Uint64())
		}
		if n%7 == 0 {
			if err := c.SetNoDelay(n%2 == 0); err != nil {
				return err
			}
		}
		if _, err := c.Write(le.AppendUint64(nil, state)); err != nil {
			return err
		}
		if drawn := drawing == 1; drawn || n%3 == 0 {
			drawing = 0
			if err := c.Export(snapshot()); err != nil {
				return err
			}
		}
	}
}

// A server process killed at random moments, again and again; the keeper is
// this test. The client sees one server that never failed: each answer follows
// from the one before, but for choices, of which it sees one each.
func TestRootIsKilled(t *testing.T) {
	killRoot(t, func(int) *process { return spawn(t, "root") })
}

func killRoot(t *testing.T, next func(kills int) *process) {
	t.Helper()
	client, server := dialed(t)
	c, err := Create(server, Config{})
	if err != nil {
		t.Fatal(err)
	}
	r, id := keptRegion(t, c), c.ID()
	kept := dup(t, server)
	c.letGo()
	_ = client.SetDeadline(time.Now().Add(4 * hang))
	verified := make(chan error, 1)
	const requests, least = 30000, 3
	killed := make(chan struct{}) // as often as that: before, it may not come to the end
	go func() {
		for i := range uint64(requests) {
			if i == requests/2 {
				<-killed
			}
			_, _ = client.Write(le.AppendUint64(nil, i*i))
		}
		_ = client.CloseWrite()
	}()
	go func() { verified <- verify(client, requests) }()
	box := must(OpenBox(r))
	defer box.Close()
	rng := rand.New(rand.NewPCG(1, 1))
	for kills := 0; ; kills++ {
		if snap, err := box.Snapshot(0); err != nil || snap != nil && snap.Final { // killed in its Close
			if done, err := box.Finish(kept); err != nil || !done {
				t.Fatalf("finish: %v, %v", done, err)
			}
			if err := <-verified; err != nil {
				t.Fatal(err)
			}
			return
		}
		p := next(kills)
		if err := Pass(p.conn, r, id, 1, 0, kept); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-verified:
			if err != nil {
				t.Fatal(err)
			}
			if err := p.wait(); err != nil {
				t.Errorf("the last process: %v", err)
			}
			t.Logf("%d processes were killed", kills)
			return
		case <-time.After(time.Duration(rng.IntN(30000)) * time.Microsecond):
			if kills < 40 {
				p.kill(t)
				if kills == least-1 {
					close(killed)
				}
			} else if err := <-verified; err != nil {
				t.Fatal(err)
			} else {
				return
			}
		}
	}
}

// verify checks the answers: state follows state, except where one was drawn.
func verify(client net.Conn, requests int) error {
	b := make([]byte, 8)
	var state uint64
	for i := range uint64(requests) {
		if _, err := io.ReadFull(client, b); err != nil {
			return err
		}
		got := le.Uint64(b)
		if want := step(state, i*i); (i+1)%5 != 0 && got != want {
			println("answer", i, "got", got, "want", want, "prev", state)
			return errors.New("an answer does not follow from those before")
		}
		state = got
	}
	if n, err := client.Read(b); n != 0 || err != io.EOF {
		return errors.New("more than all answers")
	}
	return nil
}

// backEnd serves many sessions at once: it adds to each byte how many came
// before it, in their own session.
func backEnd(front *net.UnixConn) error {
	for {
		p, err := Take(front)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		s, err := Open(p.Region, p.Slot, Config{})
		if errors.Is(err, net.ErrClosed) {
			continue // done with, by the one before
		}
		if err != nil {
			return err
		}
		go func() {
			if err := count(s); err != nil {
				_, _ = io.WriteString(os.Stderr, "back end: "+err.Error()+"\n")
				os.Exit(1)
			}
		}()
	}
}

func count(s *Session) error {
	var n uint64
	var rest []byte // read and not written yet: part of the state (§2.6.4)
	if b, ok := s.Import(); ok {
		n, rest = le.Uint64(b), b[8:]
	}
	export := func() error { return s.Export(append(le.AppendUint64(nil, n), rest...)) }
	ch := s.Channels()[0]
	b := make([]byte, 100)
	for {
		for len(rest) > 0 {
			k, err := ch.Write(rest)
			if rest = rest[k:]; errors.Is(err, ErrLogFull) {
				err = export()
			}
			if err != nil {
				return err
			}
		}
		k, err := ch.Read(b)
		if err == io.EOF {
			if err := ch.CloseWrite(); err != nil {
				return err
			}
			return s.Close()
		}
		for i := range k {
			b[i] += byte(n)
			n++
		}
		rest = b[:k]
		if errors.Is(err, ErrLogFull) || n%3 == 0 {
			err = export()
		}
		if err != nil {
			return err
		}
	}
}

// One back-end process serves sixty sessions and is killed again and again;
// the front end, which is this test, goes on as if nothing had been.
func TestBackEndOfManySessionsIsKilled(t *testing.T) {
	killBackEnd(t, 20000, func(int) *process { return spawn(t, "back end") })
}

func killBackEnd(t *testing.T, bytes int, next func(kills int) *process) {
	t.Helper()
	const sessions = 60
	type session struct {
		root *Conn
		c    *Child
	}
	all := make([]session, sessions)
	for i := range all {
		_, root := accepted(t, Config{Processes: 2, Channels: 1, Ring: 512})
		all[i] = session{root, must(root.Associate("back end", 1))}
		_ = all[i].c.Channels[0].SetDeadline(time.Now().Add(4 * hang))
	}
	done, killed := make(chan struct{}), make(chan struct{}) // once
	var wg sync.WaitGroup
	var left sync.WaitGroup
	left.Add(sessions)
	for i, s := range all {
		wg.Add(2)
		go func() {
			defer wg.Done()
			feed(t, s.root, s.c.Channels[0], i, bytes, killed)
		}()
		go func() {
			defer wg.Done()
			defer left.Done()
			check(t, s.root, s.c.Channels[0], i, bytes)
		}()
	}
	go func() { left.Wait(); close(done) }()
	rng := rand.New(rand.NewPCG(2, 2))
	kills := 0
	for ; ; kills++ {
		p := next(kills)
		for _, s := range all {
			if err := Pass(p.conn, s.root.Region(), s.root.ID(), 1, s.c.Slot, nil); err != nil {
				t.Fatal(err)
			}
		}
		select {
		case <-done:
			wg.Wait()
			t.Logf("killed %d times", kills)
			return
		case <-time.After(time.Duration(20000+rng.IntN(60000)) * time.Microsecond):
			if kills < 15 {
				p.kill(t)
				if kills == 0 {
					close(killed)
				}
			} else {
				<-done
			}
		}
	}
}

// feed writes the second half when the other side has been killed.
func feed(t *testing.T, root *Conn, ch *Channel, i, n int, killed <-chan struct{}) {
	b := pattern(i, n)
	for done := 0; done < n; {
		if done >= n/2 {
			<-killed
		}
		k, err := ch.Write(b[done:min(n, done+37)])
		if done += k; errors.Is(err, ErrLogFull) {
			err = root.Export(nil)
		}
		if err != nil {
			t.Errorf("session %d, write: %v", i, err)
			return
		}
	}
	if err := ch.CloseWrite(); err != nil {
		t.Errorf("session %d, end: %v", i, err)
	}
}

func check(t *testing.T, root *Conn, ch *Channel, i, n int) {
	want := pattern(i, n)
	b := make([]byte, 64)
	for got := 0; ; {
		k, err := ch.Read(b)
		for j := range k {
			if b[j] != want[got]+byte(got) {
				t.Errorf("session %d: byte %d is wrong", i, got)
				return
			}
			got++
		}
		switch {
		case errors.Is(err, ErrLogFull):
			err = root.Export(nil)
		case err == io.EOF && got == n:
			return
		}
		if err != nil {
			t.Errorf("session %d, after %d bytes: %v", i, got, err)
			return
		}
	}
}
