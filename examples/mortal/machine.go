// SPDX-License-Identifier: Apache-2.0

package mortal

import (
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"lazystate/backdoor"
	"lazystate/backdoor/bdtest"
	"lazystate/backdoor/uapi"
	"lazystate/internal/netrig"
	"lazystate/mtcp/extract/extracttest"
	"lazystate/mtcp/keeper"
	"lazystate/mtcp/keeper/keepertest"
	"lazystate/mtcp/tcprepair"
)

// Machine is a host of a rig with a keeper and some processes.
type Machine struct {
	*netrig.Host
	Keeper *keeper.Keeper
	Socket string // of the keeper

	t     testing.TB
	stack *tcprepair.Stack
	procs []*keepertest.Process
}

// New has a keeper on a host.
func New(t testing.TB, h *netrig.Host) *Machine {
	t.Helper()
	m := &Machine{Host: h, Keeper: keeper.New(keeper.Config{Log: slog.New(slog.DiscardHandler)}), t: t}
	dir, err := os.MkdirTemp("", "mortal-") // the path of a unix socket is short
	m.must(err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	m.Socket = filepath.Join(dir, "scd")
	l, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: m.Socket, Net: "unixpacket"})
	m.must(err)
	go m.Keeper.Serve(l)
	t.Cleanup(func() { l.Close(); m.Keeper.Close() })
	m.Do(func() (err error) { m.stack, err = tcprepair.Open(); return err })
	t.Cleanup(m.stack.Close)
	return m
}

func (m *Machine) must(err error) {
	m.t.Helper()
	if err != nil {
		m.t.Fatal(err)
	}
}

// Run starts the test's own binary as the command, here (keepertest.Main).
func (m *Machine) Run(env []string, args ...string) *keepertest.Process {
	m.t.Helper()
	cmd := keepertest.Command(m.t, args...)
	cmd.Env = append(cmd.Env, env...)
	return m.begin(cmd)
}

// Program starts another program here.
func (m *Machine) Program(path string, args ...string) *keepertest.Process {
	m.t.Helper()
	return m.begin(exec.Command(path, args...))
}

func (m *Machine) begin(cmd *exec.Cmd) *keepertest.Process {
	m.t.Helper()
	p := keepertest.GoOn(m.t, m.Try, cmd)
	m.procs = append(m.procs, p)
	return p
}

// Dead is what is left of a machine: its memory.
type Dead struct {
	*bdtest.Target
	t testing.TB
}

var key = uapi.Key{1, 2, 3}

// What a dead machine has room for, beside its own kernel: a session's box is no larger
// than boxPages.
const (
	ownRAM   = 32 << 20
	boxPages = 512
	pageSize = 4096
	spare    = 16 // sessions that may come while it dies
)

// Die is the machine's end, and that of its addresses: they go first, so that nobody
// comes whom the memory would not have.
func (m *Machine) Die(addrs ...netip.Prefix) *Dead {
	m.t.Helper()
	for _, a := range addrs {
		m.Unaddr(a.String())
	}
	const kernel = "6.12"
	members, values := extracttest.Manifest(kernel)
	boxes := len(m.Keeper.Sessions()) + spare
	pages := boxes * boxPages
	d := &Dead{bdtest.New(bdtest.WithRAM(ownRAM+pages*pageSize), bdtest.WithManifest(members, values), bdtest.WithBoxes(boxes, pages), bdtest.WithFence(), bdtest.WithKey(0, key)), m.t}
	frozen, err := extracttest.Dig(d.Target, kernel).All(m.Keeper, m.stack, nil)
	m.must(err)
	for _, p := range m.procs {
		p.Kill()
	}
	for _, f := range frozen {
		m.must(f.Discard())
	}
	return d
}

// Open is the machine as a monitor sees it.
func (d *Dead) Open() *backdoor.Target {
	d.t.Helper()
	target, err := backdoor.Open(d.t.Context(), d.Memory())
	if err != nil {
		d.t.Fatal(err)
	}
	return target
}

// Fenced is Open of a machine that is fenced for good.
func (d *Dead) Fenced() *backdoor.Target {
	d.t.Helper()
	target := d.Open()
	if err := target.Fence(d.t.Context(), backdoor.FenceOptions{Key: key}); err != nil {
		d.t.Fatal(err)
	}
	return target
}
