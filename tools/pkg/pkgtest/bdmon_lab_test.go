// SPDX-License-Identifier: Apache-2.0

package pkgtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"lazystate/tools/control"
	"lazystate/tools/lab"
	"lazystate/tools/lab/armed"
)

// TestBdmonAsItsUnitRunsIt: the RAM of another user's machine is opened, the
// control socket goes to its group, the machine is locked and freed; without
// either capability the daemon ends and says why.
func TestBdmonAsItsUnitRunsIt(t *testing.T) {
	m := newMonitor(t)
	// Less than the unit's: hosts in containers may not raise it, and only RDMA needs it.
	u := readUnit(t, "bdmon").with("LimitMEMLOCK", "")
	for _, c := range []struct{ have, says string }{
		{"CAP_DAC_OVERRIDE", "control socket: chown "},
		{"CAP_CHOWN", "permission denied"},
	} {
		errs := &bytes.Buffer{}
		d := m.start(t, u.with("CapabilityBoundingSet", c.have), errs)
		if err := m.watched(t, d); err == nil {
			t.Errorf("with %s alone it watches", c.have)
		}
		d.Process.Signal(syscall.SIGTERM)
		<-d.ended
		if !strings.Contains(errs.String(), c.says) {
			t.Errorf("with %s alone: want %q\n%s", c.have, c.says, errs)
		}
	}

	errs := &bytes.Buffer{}
	d := m.start(t, u, errs)
	if err := m.watched(t, d); err != nil {
		t.Error(err)
	}
	if st, err := os.Stat(m.socket); err != nil || strconv.Itoa(int(st.Sys().(*syscall.Stat_t).Gid)) != m.group.Gid {
		t.Errorf("the socket is not %s's: %v", m.group.Name, err)
	}
	for _, cmd := range []string{"lock", "unlock"} {
		if err := m.call(t, control.Request{Cmd: cmd, Target: "t1", LeaseMs: 5000}, nil); err != nil {
			t.Errorf("%s: %v", cmd, err)
		}
	}
	if err := d.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if <-d.ended; d.err != nil {
		t.Error(d.err)
	}
	if t.Failed() {
		t.Logf("%s", errs)
	}
}

// monitor is a configured bdmon beside a machine whose files are another user's.
type monitor struct {
	program, config, socket string
	group                   *user.Group
}

func newMonitor(t *testing.T) *monitor {
	t.Helper()
	vm := machineOfUnits(t, "6.1")
	if err := armed.GiveKeys(t.Context(), vm, armed.Keys{0: {1}}); err != nil {
		t.Fatal(err)
	}
	i := vm.Info()
	for _, path := range []string{filepath.Dir(i.RAM), i.RAM, i.BAR} {
		if err := os.Chown(path, 65534, 65534); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.Chown(path, 0, 0) })
	}
	group, err := user.LookupGroup("daemon")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	m := &monitor{program: dir + "/bdmon", config: dir + "/bdmon.yaml", socket: dir + "/sock", group: group}
	text := fmt.Sprintf(`{socket: %s, group: %s, metrics: "-", audit: %s/audit.jsonl, targets: [
{name: t1, url: "inic://%s?bar=%s&pid=%d", key_file: %s/key, period: 20ms}]}`, m.socket, group.Name, dir, i.RAM, i.BAR, i.QEMUPID, dir)
	for path, content := range map[string]string{m.config: text, dir + "/key": "01" + strings.Repeat("00", 15)} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := lab.GoBuild(t.Context(), m.program, "lazystate/tools/bdmon"); err != nil {
		t.Fatal(err)
	}
	return m
}

// daemon is one that runs.
type daemon struct {
	*exec.Cmd
	ended chan struct{}
	err   error
}

func (m *monitor) start(t *testing.T, u unit, errs *bytes.Buffer) *daemon {
	t.Helper()
	argv := u.argv(m.program, "--config", m.config)
	d := &daemon{Cmd: exec.CommandContext(t.Context(), argv[0], argv[1:]...), ended: make(chan struct{})}
	d.Stderr = errs
	if err := d.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		d.err = d.Wait()
		close(d.ended)
	}()
	return d
}

func (m *monitor) call(t *testing.T, r control.Request, data any) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	c, err := control.Dial(ctx, m.socket)
	if err != nil {
		return err
	}
	defer c.Close()
	return c.Call(r, data)
}

// watched waits until the target is sampled, or is known not to be: the daemon says so,
// or has ended.
func (m *monitor) watched(t *testing.T, d *daemon) error {
	t.Helper()
	var err error
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); {
		select {
		case <-d.ended:
			return errors.Join(errors.New("it has ended"), d.err)
		case <-time.After(50 * time.Millisecond):
		}
		var all []control.Target
		if err = m.call(t, control.Request{Cmd: "targets"}, &all); err != nil || len(all) == 0 {
			continue
		}
		if all[0].Up && all[0].Samples > 2 {
			return nil
		}
		if err = fmt.Errorf("target: %s", all[0].Error); all[0].Error != "" {
			return err
		}
	}
	return err
}
