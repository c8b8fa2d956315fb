// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"lazystate/backdoor"
	"lazystate/backdoor/uapi"
	"lazystate/repair"
	"lazystate/sensorbox"
	"lazystate/tools/control"
	"lazystate/tools/heal"
)

// recovery is a recovery node's scd, as far as bdmon sees it, and what it does.
func (r *rig) recovery(t *testing.T, work func()) (asked chan control.Request) {
	t.Helper()
	asked = make(chan control.Request, 10)
	l, err := control.Listen(r.path("scd"), -1)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		control.Serve(ctx, l, func(control.Peer) bool { return true }, func(_ context.Context, _ control.Peer, q control.Request, send func(any) error) error {
			asked <- q
			work()
			return errors.Join(send(control.Salvaged{Step: "done"}), send(control.Salvaged{Session: "3f2a", Client: "10.0.0.9:4711"}), send(control.Salvaged{End: true}))
		})
	}()
	t.Cleanup(func() { cancel(); <-done })
	return asked
}

const salvaging = `
    healers:
      - {kind: salvage, sensors: [panicked, failed], machine: web1, scd: DIR/scd, confirm: 50ms}
    repair: {coalesce: 1ms}
`

// A machine panics: it is fenced, and the recovery node carries its sessions out.
// Dry, only the plan is logged.
func TestSalvages(t *testing.T) {
	for _, dry := range []bool{false, true} {
		name, args := "heals", []string(nil)
		if dry {
			name, args = "dry run", []string{"--dry-run"}
		}
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.configure(t, strings.ReplaceAll(salvaging, "DIR", r.dir))
			asked := r.recovery(t, func() {})
			c := r.start(t, args...)
			if dry {
				r.up(t, c)
			} else {
				r.owned(t, c)
			}
			r.Crash(uapi.PanicPanic, "the end")
			r.Hang(false) // its timers run on, as a kernel's do
			result := `"result":"healed"`
			if dry {
				result = `"result":"dry-run"`
			}
			r.eventually(t, "the end of the incident", func() bool { return strings.Contains(r.audit(t), result) })
			if len(asked) == 0 != dry || r.Fenced() == dry {
				t.Errorf("asked %d times, fenced: %v", len(asked), r.Fenced())
			}
			log := r.audit(t)
			for want, there := range map[string]bool{"fence it for good": true, "the end": true, "10.0.0.9:4711": !dry} {
				if strings.Contains(log, want) != there {
					t.Errorf("%q: want %v in %s", want, there, log)
				}
			}
			if dry {
				return
			}
			if q := <-asked; q.Cmd != "salvage" || q.Target != "web1" || q.By != "" {
				t.Errorf("asked %+v", q)
			}
		})
	}
}

// A monitor dies when it has fenced a machine and asked nobody yet. The next one finds
// that fenced, which is no failure any more, and has its sessions carried out.
func TestSalvagesWhatAnotherHasFenced(t *testing.T) {
	r := newRig(t)
	r.configure(t, strings.ReplaceAll(salvaging, "DIR", r.dir))
	asked := r.recovery(t, func() {})
	target, err := backdoor.Open(t.Context(), r.Memory())
	if err == nil {
		err = target.Fence(t.Context(), backdoor.FenceOptions{Key: key})
	}
	if err != nil || !r.Fenced() {
		t.Fatal(err)
	}
	r.owned(t, r.start(t))
	r.eventually(t, "the end of the incident", func() bool { return strings.Contains(r.audit(t), `"result":"healed"`) })
	if q := <-asked; q.Cmd != "salvage" || q.Target != "web1" || q.By != "" {
		t.Errorf("asked %+v", q)
	}
}

// The monitor dies while the recovery node is at it, which goes on, and tells the next
// one what has come of it.
func TestMonitorDiesOverSalvage(t *testing.T) {
	r := newRig(t)
	r.configure(t, strings.ReplaceAll(salvaging, "DIR", r.dir))
	done := make(chan struct{})
	goOn := sync.OnceFunc(func() { close(done) })
	defer goOn()
	asked := r.recovery(t, func() { <-done })
	r.owned(t, r.start(t))
	r.Crash(uapi.PanicPanic, "the end")
	r.Hang(false)
	<-asked
	r.stop()
	<-r.code
	if strings.Contains(r.audit(t), `"result":"healed"`) {
		t.Fatal("the end came too early")
	}
	r.owned(t, r.start(t))
	<-asked
	goOn()
	r.eventually(t, "the end of the incident", func() bool { return strings.Contains(r.audit(t), `"result":"healed"`) })
}

// Where a machine had nothing but what another goes on with, a command of the service's
// own carries it out, once it is fenced.
func TestSalvagesByCommand(t *testing.T) {
	r := newRig(t)
	r.configure(t, `
    healers:
      - {kind: salvage, sensors: [panicked, failed], argv: [/bin/sh, -c, 'echo fenced by $LAZYSTATE_FENCED'], confirm: 50ms}
    repair: {coalesce: 1ms}
`)
	r.owned(t, r.start(t))
	r.Crash(uapi.PanicPanic, "the end")
	r.Hang(false)
	r.eventually(t, "the end of the incident", func() bool { return strings.Contains(r.audit(t), `"result":"healed"`) })
	if log := r.audit(t); !r.Fenced() || !strings.Contains(log, "fenced by cpus") || !strings.Contains(log, "run /bin/sh -c echo") {
		t.Errorf("fenced: %v; audit %s", r.Fenced(), log)
	}
}

// An operator fences by hand.
func TestFenceByHand(t *testing.T) {
	r := newRig(t)
	r.configure(t, "")
	c := r.start(t)
	r.owned(t, c)
	var done control.Done
	if err := c.Call(control.Request{Cmd: "fence", Target: "t1"}, &done); err != nil || done.Result != "fenced" || !r.Fenced() {
		t.Errorf("%+v, %v; fenced: %v", done, err, r.Fenced())
	}
	if log := r.audit(t); !strings.Contains(log, `"step":"fence","decided":true`) {
		t.Errorf("audit %s", log)
	}
}

// A machine that is to be reset where it cannot be repaired is not, as long as its
// sessions are being carried out: it is power-cycled by who had them carried out.
func TestPowerCycleAfterSalvage(t *testing.T) {
	r := newRig(t).clocked()
	r.configure(t, strings.ReplaceAll(`
    healers:
      - {kind: salvage, sensors: [panicked, failed], machine: web1, scd: DIR/scd, confirm: 50ms}
    reset: unrepairable
    fence_command: [/bin/sh, -c, 'test -e DIR/salvaged && echo run >> DIR/fence']
    repair: {coalesce: 1ms, reset: {confirm: 10ms, cool_down: 10ms, bound: 5s}}
`, "DIR", r.dir))
	r.recovery(t, func() {
		time.Sleep(2 * time.Second) // the last resort looks twice, half a second apart
		if err := os.WriteFile(r.path("salvaged"), nil, 0o600); err != nil {
			t.Error(err)
		}
	})
	r.owned(t, r.start(t))
	r.Crash(uapi.PanicPanic, "the end")
	r.Hang(false)
	r.eventually(t, "the end of the incident", func() bool { return strings.Contains(r.audit(t), `"result":"healed"`) })
	if b, err := os.ReadFile(r.path("fence")); string(b) != "run\n" {
		t.Errorf("the fence command has run: %q, %v", b, err)
	}
	if log := r.audit(t); !strings.Contains(log, `"power-cycled"`) || strings.Contains(log, `"step":"reset"`) {
		t.Errorf("audit %s", log)
	}
}

// A machine's end is told to its salvage before the last resort hears of it, for other
// healers may have their turn first; in a dry run, of other events, and when no healer
// is called any more it is not.
func TestSalvageIsExpectedAtOnce(t *testing.T) {
	for _, c := range []struct {
		kind       sensorbox.Kind
		dry, ended bool
		want       bool
	}{
		{sensorbox.Panicked, false, false, true},
		{sensorbox.Failed, false, false, false}, // it is not called for that
		{sensorbox.Panicked, true, false, false},
		{sensorbox.Panicked, false, true, false},
	} {
		s := &heal.Salvage{Machine: "web1"}
		a := &care{dispatcher: repair.NewDispatcher(&repair.Patient{}, repair.Options{}), salvage: s, salvageFor: []string{"panicked"}}
		a.ended.Store(c.ended)
		(&watch{dryRun: c.dry}).hear(a, sensorbox.Event{Kind: c.kind})
		if s.Needed() != c.want {
			t.Errorf("%+v: %v", c, s.Needed())
		}
	}
}
