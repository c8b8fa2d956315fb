// SPDX-License-Identifier: Apache-2.0

package guest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"lazystate/tools/lab"
)

// startDaemon starts a program as a Wired starts bdnic.
func startDaemon(t *testing.T, net string, argv ...string) *Daemon {
	t.Helper()
	d := &Daemon{cmd: exec.Command(argv[0], argv[1:]...), ended: make(chan struct{})}
	var err error
	if d.log, err = os.Create(filepath.Join(t.TempDir(), "log")); err != nil {
		t.Fatal(err)
	}
	d.cmd.Stderr = d.log
	if err := d.start(net); err != nil {
		t.Fatal(err)
	}
	return d
}

// A daemon dies with the thread that started it. InNetns ends threads, and each that
// Go has may be the next.
func TestDaemonOutlivesThreads(t *testing.T) {
	net := lab.Net(t)
	d := startDaemon(t, net, "/bin/sh", "-c", "trap 'exit 3' TERM; echo up >&2; while :; do sleep 0.05; done")
	if err := d.await(t.Context(), "up"); err != nil {
		t.Fatal(err)
	}
	for range 200 {
		if err := lab.InNetns(net, func() error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case <-d.ended:
		t.Fatalf("it has ended: %v", d.err)
	default:
	}
	if err := d.Stop(); err == nil || !strings.Contains(err.Error(), "up") {
		t.Errorf("an end that is an error: %v", err)
	}
}

func TestDaemonThatDoesNotComeUp(t *testing.T) {
	net := lab.Net(t)
	d := startDaemon(t, net, "/bin/sh", "-c", "echo nonsense >&2; exit 1")
	if err := d.await(t.Context(), "up"); err == nil {
		t.Error("a daemon that has ended is up")
	}
	if err := d.Stop(); err == nil || !strings.Contains(err.Error(), "nonsense") {
		t.Errorf("%v", err)
	}
	d = &Daemon{cmd: exec.Command("/no/such/program"), ended: make(chan struct{})}
	if err := d.start(net); err == nil {
		t.Error("no such program, and it was started")
	}
}
