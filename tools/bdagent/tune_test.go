// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// machine is a tree of files as the kernel shows them.
func machine(t *testing.T, files map[string]string) tuning {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(root, "sys/class/net/eth0"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../../../devices/pci/virtio0", filepath.Join(root, "sys/class/net/eth0/device")); err != nil {
		t.Fatal(err)
	}
	return tuning{root: root, state: filepath.Join(root, "run/state")}
}

func (t tuning) read(tb testing.TB, names ...string) map[string]string {
	tb.Helper()
	all := map[string]string{}
	for _, n := range names {
		b, err := os.ReadFile(t.path(n))
		if err != nil {
			tb.Fatal(err)
		}
		all[n] = strings.TrimSpace(string(b))
	}
	return all
}

var plain = map[string]string{
	nicCPU: "0", moveIRQ: "", pinWorkers: "N", workqueues: "3", release: "6.12.1-amd64",
	"sys/devices/pci/virtio0/features": "", "sys/devices/pci/msi_irqs/24": "", "sys/devices/pci/msi_irqs/25": "",
	"proc/irq/24/smp_affinity": "2", "proc/irq/25/smp_affinity": "3", "proc/irq/26/smp_affinity": "3",
	"sys/class/infiniband/rxe0/parent": "eth0",
}

var touched = []string{workqueues, "proc/irq/24/smp_affinity", "proc/irq/25/smp_affinity", "proc/irq/26/smp_affinity", pinWorkers}

func TestTuneAndUndo(t *testing.T) {
	m := machine(t, plain)
	before := m.read(t, touched...)
	if err := m.apply("eth0", t.Output()); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{workqueues: "1", touched[1]: "1", touched[2]: "1", touched[3]: "3", pinWorkers: "Y"}
	if d := cmp.Diff(want, m.read(t, touched...)); d != "" {
		t.Errorf("tuned (-want +got):\n%s", d)
	}
	if got := m.read(t, moveIRQ)[moveIRQ]; got != "25" { // after 24
		t.Errorf("the module was last told to move interrupt %q", got)
	}
	if err := m.apply("eth0", t.Output()); err != nil { // an agent that was killed, and its successor
		t.Fatal(err)
	}
	if err := m.undo(); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(before, m.read(t, touched...)); d != "" {
		t.Errorf("put back (-want +got):\n%s", d)
	}
	if err := m.undo(); err != nil {
		t.Errorf("nothing to put back: %v", err)
	}
}

func TestTuneLeavesWorkersAlone(t *testing.T) {
	for name, c := range map[string]struct{ file, text, pin string }{
		"tasklets":          {release, "6.1.0-56-amd64", "Y"}, // the connection manager has workers
		"another interface": {"sys/class/infiniband/rxe0/parent", "eth1", "N"},
	} {
		m := machine(t, plain)
		if err := os.WriteFile(m.path(c.file), []byte(c.text), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := m.apply("eth0", t.Output()); err != nil {
			t.Fatal(err)
		}
		want := map[string]string{workqueues: "3", pinWorkers: c.pin}
		if d := cmp.Diff(want, m.read(t, workqueues, pinWorkers)); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
}

func TestNICMask(t *testing.T) {
	m := machine(t, plain)
	for cpu, want := range map[string]string{"0": "1", "5": "20", "31": "80000000", "32": "1,00000000", "70": "40,00000000,00000000"} {
		if err := os.WriteFile(m.path(nicCPU), []byte(cpu), 0o644); err != nil {
			t.Fatal(err)
		}
		if got, err := m.nicMask(); got != want || err != nil {
			t.Errorf("CPU %s: %s, %v", cpu, got, err)
		}
	}
}

func TestTuneUnknownInterface(t *testing.T) {
	m := machine(t, plain)
	if err := m.apply("eth9", t.Output()); err == nil || !strings.Contains(err.Error(), "eth9") {
		t.Errorf("got %v", err)
	}
	if err := m.apply("", t.Output()); err != nil {
		t.Errorf("no interface: %v", err)
	}
}
