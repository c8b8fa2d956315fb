// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"lazystate/internal/freeport"
	"lazystate/internal/identity"
	"lazystate/internal/leash"
	"lazystate/internal/syncbuf"
	"lazystate/tools/control"
)

// A test that kills monitors runs them as processes: this binary is bdmon when
// the environment says so.
const asBdmon = "LAZYSTATE_TEST_AS_BDMON"

func TestMain(m *testing.M) {
	if os.Getenv(asBdmon) != "" {
		os.Exit(run(context.Background(), os.Args, os.Stdin, os.Stdout, os.Stderr))
	}
	// Monitors of t.Parallel are processes, which wait for the ends of leases: not
	// one by one, however few CPUs there are. (A test in which this process is the
	// monitor is none: it gets the signals of the others.)
	flag.Parse()
	if err := flag.Set("test.parallel", "4"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// crew is several monitors for the rig's machine.
type crew struct {
	*rig
	t     *testing.T
	mates []*mate
}

// mate is one bdmon process.
type mate struct {
	*rig // of its own files; no guest
	name string
	addr string
	key  identity.PublicKey
	slot int
	host *nsHost // nil: this process's
	cmd  *exec.Cmd
	done chan struct{}
	torn int // lines that kills may have left
}

// newCrew makes identities and folders; nobody runs yet. The guest runs.
func newCrew(t *testing.T, names ...string) *crew {
	t.Helper()
	c := &crew{rig: newRig(t), t: t}
	for i, name := range names {
		c.mates = append(c.mates, newMate(t, name, 1+i, freeport.Addr(t)))
	}
	t.Cleanup(c.Run(5 * time.Millisecond))
	return c
}

func newMate(t *testing.T, name string, slot int, addr string) *mate {
	t.Helper()
	m := &mate{rig: &rig{dir: t.TempDir(), stderr: &syncbuf.Buffer{}}, name: name, slot: slot, addr: addr}
	m.write(t, "key", strings.Repeat("01", 16))
	pem, public, err := identity.New()
	if err != nil {
		t.Fatal(err)
	}
	m.write(t, "id.pem", string(pem))
	m.key = public
	return m
}

// static is the fleet's part of a configuration without etcd.
func (c *crew) static(m *mate, more string) string {
	var list []string
	for _, o := range c.mates {
		list = append(list, fmt.Sprintf("{name: %s, address: %q, key: %q}", o.name, o.addr, o.key))
	}
	return fmt.Sprintf("{name: %s, identity: %s, lease: 1s, monitors: [%s]%s}", m.name, m.path("id.pem"), strings.Join(list, ", "), more)
}

// configure writes a mate's file; fleet is its fleet, more are lines of its target.
func (c *crew) configure(m *mate, fleet, more string) {
	c.t.Helper()
	m.write(c.t, "bdmon.yaml", fmt.Sprintf(`
socket: %[1]s/sock
metrics: 127.0.0.1:0
audit: %[1]s/audit.jsonl
fleet: %[2]s
targets:
  - name: t1
    url: inic://%[3]s/ram
    slot: %[4]d
    key_file: %[1]s/key
    period: 20ms
%[5]s`, m.dir, fleet, c.dir, m.slot, more))
}

// run starts a mate's process, and kills it at the end of the test.
func (c *crew) run(m *mate) *control.Client {
	c.t.Helper()
	m.cmd = exec.Command(os.Args[0], "--config", m.path("bdmon.yaml"))
	m.cmd.Env = append(os.Environ(), asBdmon+"=1")
	m.cmd.Stderr = m.stderr
	on := onThread
	if m.host != nil {
		on = m.host.in
	}
	done, cmd := make(chan struct{}), m.cmd
	m.done = done
	wait, err := leash.StartOn(on, cmd, syscall.SIGKILL)
	if err != nil {
		c.t.Fatal(err)
	}
	go func() {
		defer close(done)
		_ = wait() // says how it was killed
	}()
	c.t.Cleanup(func() { cmd.Process.Kill(); <-done })
	client := m.dial(c.t)
	// Who says nothing loses its place. A monitor that ends by itself does so here.
	if err := client.Call(control.Request{Cmd: "owners"}, nil); err != nil {
		c.t.Fatalf("%s: %v\n%s", m.name, err, m.stderr)
	}
	return client
}

// end sends a signal and waits for the process.
func (m *mate) end(t *testing.T, sig syscall.Signal) {
	t.Helper()
	if sig == syscall.SIGKILL {
		m.torn++
	}
	if err := m.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Fatal(err)
	}
	select {
	case <-m.done:
	case <-time.After(time.Minute):
		t.Fatalf("%s does not end by signal %v\n%s", m.name, sig, m.stderr)
	}
}

// owner asks a monitor who owns t1.
func owner(t *testing.T, c *control.Client) control.Ownership {
	t.Helper()
	var rows []control.Ownership
	if err := c.Call(control.Request{Cmd: "owners"}, &rows); err != nil || len(rows) > 1 {
		t.Fatalf("owners: %+v, %v", rows, err)
	}
	return append(rows, control.Ownership{})[0] // none: it has just started
}

// whenOwns waits until m itself says that it owns the target.
func (c *crew) whenOwns(m *mate, client *control.Client) control.Ownership {
	c.t.Helper()
	var got control.Ownership
	for end := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		if got = owner(c.t, client); got.Owner == m.name && got.Phase == "owning" {
			return got
		}
		if time.Now().After(end) {
			c.tellAll()
			c.t.Fatalf("%s never owns the target: %+v", m.name, got)
		}
	}
}

func (c *crew) tellAll() {
	for _, m := range c.mates {
		c.t.Logf("%s says:\n%s", m.name, m.stderr)
		if b, err := os.ReadFile(m.path("audit.jsonl")); err == nil {
			c.t.Logf("%s's audit log:\n%s", m.name, b)
		}
	}
}

// change is a line of an audit log about ownership.
type change struct {
	Time  time.Time
	Step  string
	mate  *mate
	Epoch uint64
}

// changes reads the ownership lines of all logs, in the order of their epochs,
// and fails if two monitors had the same epoch, or owned at the same time: what
// yields has let go of all before it says so, and tells of the release when another
// may own already.
func (c *crew) changes() []change {
	c.t.Helper()
	var all []change
	for _, m := range c.mates {
		f, err := os.ReadFile(m.path("audit.jsonl"))
		if err != nil && !os.IsNotExist(err) {
			c.t.Fatal(err)
		}
		torn := 0
		for line := range strings.Lines(string(f)) {
			var r struct {
				Time           time.Time
				Incident, Step string
				Data           json.RawMessage
			}
			var data struct{ Epoch uint64 }
			if err := json.Unmarshal([]byte(line), &r); err != nil {
				if torn++; torn > m.torn { // the next monitor has ended the line
					c.t.Errorf("%s: %v: %q", m.name, err, line)
				}
				continue
			}
			if r.Incident != "ownership" {
				continue
			}
			if err := json.Unmarshal(r.Data, &data); err != nil || data.Epoch == 0 {
				c.t.Errorf("%s: %v: %q", m.name, err, line)
			}
			all = append(all, change{r.Time, r.Step, m, data.Epoch})
		}
	}
	byEpoch := map[uint64]*mate{}
	for _, a := range all {
		if was := byEpoch[a.Epoch]; was != nil && was != a.mate {
			c.t.Errorf("epoch %d was %s's and %s's", a.Epoch, was.name, a.mate.name)
		}
		byEpoch[a.Epoch] = a.mate
		for _, b := range all {
			if a.Step == "yield" && b.Step == "own" && b.Epoch > a.Epoch && b.Time.Before(a.Time) && b.mate != a.mate {
				c.t.Errorf("%s owned (epoch %d) before %s had yielded (epoch %d)", b.mate.name, b.Epoch, a.mate.name, a.Epoch)
			}
		}
	}
	return all
}

func (c *crew) bytesOf(m *mate, name string) string {
	b, err := os.ReadFile(filepath.Join(m.dir, name))
	if err != nil && !os.IsNotExist(err) {
		c.t.Fatal(err)
	}
	return string(b)
}
