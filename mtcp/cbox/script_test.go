// SPDX-License-Identifier: Apache-2.0

package cbox

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"golang.org/x/sys/unix"

	"lazystate/mtcp"
	"lazystate/mtcp/cbox/cboxtest"
)

// The scripts of testdata/script are played by processes in Go, in C, and by
// both in turns: what one library leaves behind, the other goes on with. Each
// line is a call, its answer the line below.
func TestScripts(t *testing.T) {
	langs := map[string]func(t *testing.T, n int) *driver{
		"Go": func(t *testing.T, _ int) *driver { return driverInGo(t) },
		"C":  func(t *testing.T, _ int) *driver { return driverInC(t) },
		"by turns": func(t *testing.T, n int) *driver {
			if n%2 == 0 {
				return driverInC(t)
			}
			return driverInGo(t)
		},
	}
	for name, start := range langs {
		t.Run(name, func(t *testing.T) {
			datadriven.Walk(t, "testdata/script", func(t *testing.T, path string) {
				st := &stage{t: t, start: start, played: map[string]*driver{}, slots: map[string]uint32{"root": 0}}
				datadriven.RunTest(t, path, st.run)
			})
		})
	}
}

// driver is a process that does what it is told.
type driver struct {
	*process
	in  io.Writer
	out *bufio.Reader
}

func driverInGo(t *testing.T) *driver {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), "CBOX_ROLE=driver")
	return piped(t, cmd)
}

func driverInC(t *testing.T) *driver {
	return piped(t, exec.Command(cboxtest.Program(t, "testdata/c/driver.c", cboxtest.Sanitized)))
}

func piped(t *testing.T, cmd *exec.Cmd) *driver {
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	return &driver{start(t, cmd), in, bufio.NewReader(out)}
}

// tell does one call and returns its answer.
func (d *driver) tell(line string) (string, error) {
	if _, err := fmt.Fprintln(d.in, line); err != nil {
		return "", err
	}
	got := make(chan string, 1)
	go func() {
		s, _ := d.out.ReadString('\n')
		got <- s
	}()
	select {
	case s := <-got:
		return s, nil
	case <-time.After(hang):
		return "", fmt.Errorf("no answer to %q", line)
	}
}

// stage is a session with its client and its processes, as a script sees it.
type stage struct {
	t      *testing.T
	start  func(t *testing.T, n int) *driver
	procs  int // started so far
	played map[string]*driver
	slots  map[string]uint32

	client *net.TCPConn
	conn   *net.TCPConn // the keeper's
	region Region
	id     ID
}

func (st *stage) run(t *testing.T, d *datadriven.TestData) string {
	st.t = t
	switch d.Cmd {
	case "accept":
		return st.accept(d)
	case "start":
		return st.startAs(d.CmdArgs[0].Key, d)
	case "kill":
		name := d.CmdArgs[0].Key
		st.played[name].kill(t)
		return st.startAs(name, d)
	case "move":
		return st.move(d)
	case "client":
		return each(d.Input, st.clientDoes)
	}
	p, ok := st.played[d.Cmd]
	if !ok {
		d.Fatalf(t, "no process %s", d.Cmd)
	}
	return each(d.Input, p.tell)
}

func each(input string, do func(string) (string, error)) string {
	var out strings.Builder
	for line := range strings.Lines(input) {
		s, err := do(strings.TrimSuffix(line, "\n"))
		if err != nil {
			s = err.Error() + "\n"
		}
		out.WriteString(s)
	}
	return out.String()
}

// accept log=64 hold=64 ring=64 snapshot=100: a client, and the box of its session.
func (st *stage) accept(d *datadriven.TestData) string {
	cfg := Config{Processes: 3, Channels: 2}
	for _, a := range d.CmdArgs {
		n, err := strconv.Atoi(a.Vals[0])
		if err != nil {
			d.Fatalf(st.t, "%v", err)
		}
		*map[string]*int{"log": &cfg.Log, "hold": &cfg.Hold, "ring": &cfg.Ring, "snapshot": &cfg.Snapshot}[a.Key] = n
	}
	client, server := dialed(st.t)
	c, err := Create(server, cfg)
	if err != nil {
		d.Fatalf(st.t, "%v", err)
	}
	st.client, st.id = client, c.ID()
	st.region, st.conn = keptRegion(st.t, c), dup(st.t, server)
	c.letGo()
	return st.startAs("root", d)
}

// startAs starts a process and hands it a slot.
func (st *stage) startAs(name string, d *datadriven.TestData) string {
	p := st.start(st.t, st.procs)
	st.procs++
	st.played[name] = p
	slot, ok := st.slots[name]
	if !ok {
		slot = uint32(len(st.slots))
		st.slots[name] = slot
	}
	var conn syscall.Conn
	if slot == 0 {
		conn = st.conn
	}
	if err := Pass(p.conn, st.region, st.id, 1, slot, conn); err != nil {
		d.Fatalf(st.t, "%v", err)
	}
	s, err := p.tell("take")
	if err != nil {
		s = err.Error()
	}
	return s
}

// move: the session goes to another server; its processes here get EMIGRATED,
// and others go on with it there.
func (st *stage) move(d *datadriven.TestData) string {
	policy := mtcp.Whole
	if d.HasArg("minimal") {
		policy = mtcp.Minimal
	}
	b := movedBox(st.t, st.region, st.conn, policy)
	st.region = b.region
	var out strings.Builder
	for _, name := range []string{"root", "child"} {
		if old := st.played[name]; old != nil {
			s, err := old.tell("export late")
			fmt.Fprintf(&out, "old %s: %s", name, s)
			if err != nil {
				d.Fatalf(st.t, "%v", err)
			}
			old.kill(st.t)
			out.WriteString(st.startAs(name, d))
		}
	}
	return out.String()
}

func (st *stage) clientDoes(line string) (string, error) {
	verb, arg, _ := strings.Cut(line, " ")
	switch verb {
	case "send":
		_, err := io.WriteString(st.client, arg)
		return "ok\n", err
	case "shut":
		return "ok\n", st.client.CloseWrite()
	case "get":
		n, err := strconv.Atoi(arg)
		if err != nil {
			return "", err
		}
		b := make([]byte, n)
		n, err = io.ReadFull(st.client, b)
		if n > 64 {
			return fmt.Sprintf("%d bytes\n", n), err
		}
		return fmt.Sprintf("%q\n", b[:n]), err
	case "end":
		n, err := st.client.Read(make([]byte, 1))
		if n == 0 && err == io.EOF {
			return "end\n", nil
		}
		return "", fmt.Errorf("%d bytes, %v", n, err)
	case "nothing":
		nothing(st.t, st.client)
		return "ok\n", nil
	}
	return "", fmt.Errorf("a client does not %s", verb)
}

// drive is the driver in Go: driver.c, call by call.
func drive(keeper *net.UnixConn) error {
	d := &played{keeper: keeper}
	for sc := bufio.NewScanner(os.Stdin); sc.Scan(); {
		verb, arg, _ := strings.Cut(sc.Text(), " ")
		fmt.Println(d.do(verb, arg))
	}
	return nil
}

type played struct {
	keeper *net.UnixConn
	s      *Session
	c      *Conn
	ch     *Channel
}

func (d *played) do(verb, arg string) string {
	n, _ := strconv.Atoi(arg)
	switch verb {
	case "take":
		return named(d.take())
	case "import":
		if b, ok := d.s.Import(); ok {
			return strconv.Quote(string(b))
		}
		return "none"
	case "export":
		return named(d.s.Export([]byte(arg)))
	case "exportndi":
		return named(d.s.ExportNDI([]byte(arg)))
	case "associate":
		c, err := d.s.Associate(arg, 1)
		if err != nil {
			return named(err)
		}
		d.ch = c.Channels[0]
		return fmt.Sprintf("slot %d", c.Slot)
	case "chanread":
		return readAll(d.ch, n)
	case "chanwrite":
		return wrote(d.ch.Write([]byte(arg)))(len(arg))
	case "chanfill":
		return wrote(d.ch.Write(make([]byte, n)))(n)
	case "chanclose":
		return named(d.ch.CloseWrite())
	case "close":
		if d.c != nil {
			return named(d.c.Close())
		}
		return named(d.s.Close())
	}
	return d.toConn(verb, arg, n)
}

func (d *played) toConn(verb, arg string, n int) string {
	switch verb {
	case "read":
		return readAll(d.c, n)
	case "write":
		return wrote(d.c.Write([]byte(arg)))(len(arg))
	case "fill":
		return wrote(d.c.Write(make([]byte, n)))(n)
	case "shutdown":
		if arg == "r" {
			return named(d.c.CloseRead())
		}
		return named(d.c.CloseWrite())
	case "nodelay":
		return named(d.c.SetNoDelay(arg == "1"))
	case "where":
		read, written := d.c.Positions()
		return fmt.Sprintf("read %d, written %d, generation %d", read, written, d.c.Generation())
	}
	return "unknown: " + verb
}

func (d *played) take() error {
	p, err := Take(d.keeper)
	if err != nil {
		return err
	}
	if p.Conn != nil {
		if d.c, err = Resume(p.Region, p.Conn, Config{}); err == nil {
			d.s = d.c.Session
		}
		return err
	}
	if d.s, err = Open(p.Region, p.Slot, Config{}); err == nil && len(d.s.Channels()) > 0 {
		d.ch = d.s.Channels()[0]
	}
	return err
}

func readAll(r io.Reader, n int) string {
	b := make([]byte, n)
	got, err := 0, error(nil)
	for got < n && err == nil {
		var k int
		k, err = r.Read(b[got:])
		got += k
	}
	var out bytes.Buffer
	switch {
	case got >= 64:
		fmt.Fprintf(&out, "%d bytes", got)
	case got > 0:
		fmt.Fprintf(&out, "%q", b[:got])
	}
	if got < n {
		if got > 0 {
			out.WriteString(", then ")
		}
		out.WriteString(named(err))
	}
	return out.String()
}

func wrote(n int, err error) func(all int) string {
	return func(all int) string {
		switch {
		case n == all && err == nil:
			return "ok"
		case n > 0:
			return fmt.Sprintf("%d of %d", n, all)
		}
		return named(err)
	}
}

// named gives an error the name that it has in C.
func named(err error) string {
	var diverged *mtcp.DivergedError
	var damaged *DamagedError
	switch {
	case err == nil:
		return "ok"
	case err == io.EOF:
		return "end"
	case errors.Is(err, ErrMigrated):
		return "EMIGRATED"
	case errors.Is(err, ErrLogFull):
		return "ELOGFULL"
	case errors.As(err, &diverged):
		return "EDIVERGED"
	case errors.As(err, &damaged):
		return "EDAMAGED"
	case errors.Is(err, unix.EPIPE):
		return "EPIPE"
	case errors.Is(err, net.ErrClosed), errors.Is(err, io.ErrClosedPipe):
		return "EBADF"
	}
	return err.Error()
}
