// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"lazystate/backdoor/uapi"
	"lazystate/repair/drill"
	"lazystate/tools/bdmon/daemon"
	"lazystate/tools/lab"
	"lazystate/tools/lab/armed"
)

// machine is a booted target with the module, the agent and the programs in it.
type machine struct {
	vm  *lab.VM
	key uapi.Key
	out *console
	way way // from the monitor to it

	useful drill.Useful
	ended  chan struct{} // the useful program's stream has ended
	stop   context.CancelFunc
	before drill.Iterations // without what the host took
	pace   time.Duration    // of one, with it
	host   host
}

const (
	guestRogue  = "/bin/rogue"
	guestCanary = "/bin/bdcanary"
)

func (r *runner) boot(ctx context.Context, name string) (*machine, error) {
	files := map[string]string{guestRogue: r.rogue, armed.Agent: r.agent, guestCanary: r.canary}
	vm, err := lab.Up(ctx, name, r.carrier.wire(lab.Config{
		Kernel: r.kernel, Debian: r.debian, VCPUs: 2, MemMiB: 512, SwapMiB: r.swapMiB, Files: files, Login: true,
	}))
	if err != nil {
		return nil, err
	}
	m := &machine{vm: vm, out: r.out, ended: make(chan struct{})}
	if _, err := rand.Read(m.key[:]); err != nil {
		return nil, errors.Join(err, vm.Down())
	}
	if err := m.install(ctx, r); err != nil {
		return nil, errors.Join(fmt.Errorf("install the backdoor on %s: %w", name, err), vm.Down())
	}
	if err := m.connect(ctx, r); err != nil {
		return nil, errors.Join(fmt.Errorf("connect %s by %s: %w", name, r.carrier, err), m.down())
	}
	return m, nil
}

// install does what an operator does on a target: keys, then the agent, which
// loads the module.
func (m *machine) install(ctx context.Context, r *runner) error {
	ko := filepath.Join(r.modules, m.vm.Release(), "backdoor.ko")
	return armed.Serve(ctx, m.vm, ko, armed.Keys{0: m.key}, append(r.carrier.agent(), "--allow-repair", "--limits", daemon.Limits)...)
}

// startUseful runs the useful program and calibrates it to about one iteration
// in half a second.
func (m *machine) startUseful(ctx context.Context, loops int) {
	ctx, m.stop = context.WithCancel(ctx)
	go m.host.follow(ctx, m.vm.Info().QEMUPID, m.vm.Config().VCPUs)
	go func() {
		defer close(m.ended)
		// Its end is the drill's business: no iteration ends any more.
		_, _ = m.vm.Stream(ctx, lab.Proc{Argv: []string{guestRogue, "useful", fmt.Sprint(loops), "8"}, UID: drill.UsefulUID, OOMAdj: -900}, nil, &m.useful, nil)
	}()
}

// iterations between two moments, without what the host took.
func (m *machine) iterations(from, to time.Time) drill.Iterations {
	return m.useful.Between(from, to).Without(m.host.share(from, to))
}

// patience is how long what a machine does at its own pace is waited for: where
// the host gives it a third of a CPU, hogs fill its memory at a third of the pace.
func (m *machine) patience() time.Duration {
	return min(max(healWithin, 60*m.pace), 15*time.Minute)
}

// release starts a program of the drill in the guest.
func (m *machine) release(ctx context.Context, p drill.Program) (int, error) {
	return m.vm.Start(ctx, lab.Proc{Argv: append([]string{guestRogue}, p.Args...), UID: p.UID, OOMAdj: p.OOMAdj})
}

// down ends the machine whatever state it is in.
func (m *machine) down() error {
	if m.stop != nil {
		m.stop()
	}
	return errors.Join(m.way.close(), m.vm.Down())
}

// serialTail is the end of the kernel's log, for a report of what went wrong.
func (m *machine) serialTail() string {
	b, err := os.ReadFile(m.vm.Serial())
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return strings.Join(lines[max(0, len(lines)-12):], "\n")
}
