// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"lazystate/backdoor/bdtest"
	"lazystate/backdoor/uapi"
	"lazystate/tools/control"
)

func bdmon(args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = run(context.Background(), append([]string{"bdmon"}, args...), strings.NewReader(""), &out, &errs)
	return code, out.String(), errs.String()
}

func TestCheckConfig(t *testing.T) {
	r := newRig(t)
	r.configure(t, "")
	if code, out, errs := bdmon("--config", r.path("bdmon.yaml"), "--check-config"); code != 0 || !strings.Contains(out, "ok, 1 target(s)") {
		t.Errorf("exit %d, %q, %q", code, out, errs)
	}
	r.configure(t, "    perod: 10ms\n")
	code, _, errs := bdmon("--config", r.path("bdmon.yaml"), "--check-config")
	if code != 1 || !strings.Contains(errs, "[10:5] unknown field \"perod\"") {
		t.Errorf("exit %d, %q", code, errs)
	}
	if code, _, _ := bdmon("--chek-config"); code != 2 {
		t.Errorf("usage error exits %d", code)
	}
	if code, _, _ := bdmon("--config", r.path("none")); code != 1 {
		t.Errorf("no file exits %d", code)
	}
	r.configure(t, "")
	if err := os.Chmod(r.path("key"), 0o644); err != nil {
		t.Fatal(err)
	}
	if code, _, errs := bdmon("--config", r.path("bdmon.yaml"), "--check-config"); code != 1 || !strings.Contains(errs, "0600") {
		t.Errorf("readable key: exit %d, %q", code, errs)
	}
}

func TestWatchesAndAnswers(t *testing.T) {
	r := newRig(t)
	r.AddProcess(bdtest.Proc{UID: 1000, Comm: "sleeper"})
	r.configure(t, "")
	c := r.start(t)
	if got := r.owned(t, c); got.Carrier != "inic" || !got.Writable || got.PeriodUs != 20_000 || got.Verdict != "ok" {
		t.Errorf("target %+v", got)
	}
	var sensors []control.Sensor
	if err := c.Call(control.Request{Cmd: "sensors", Target: "t1"}, &sensors); err != nil || len(sensors) != 2 || sensors[1].Value != 10 {
		t.Errorf("sensors %+v, %v", sensors, err)
	}
	var procs []control.Process
	if err := c.Call(control.Request{Cmd: "ps", Target: "t1"}, &procs); err != nil || len(procs) == 0 {
		t.Errorf("processes %+v, %v", procs, err)
	}
	if err := c.Call(control.Request{Cmd: "sensors", Target: "t2"}, nil); err == nil || !strings.Contains(err.Error(), `no target "t2"`) {
		t.Errorf("got %v", err)
	}
	events := r.dial(t)
	got := make(chan control.Event, 10)
	go events.Stream(control.Request{Cmd: "watch"}, func(raw json.RawMessage) error {
		var ev control.Event
		if err := json.Unmarshal(raw, &ev); err != nil {
			return err
		}
		got <- ev
		return nil
	})
	if ev := r.exceed(t, got); ev.Sensor != "NPROCS" || ev.Target != "t1" {
		t.Errorf("event %+v", ev)
	}
	r.checkMetrics(t, `[1-9]\d*`)
}

// exceed crosses the limit until a watcher hears of it, for nobody tells when it
// has begun to listen.
func (r *rig) exceed(t *testing.T, got <-chan control.Event) control.Event {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		r.SetValue(r.nprocs, 400)
		heard := time.After(500 * time.Millisecond)
		for waiting := true; waiting; {
			select {
			case ev := <-got:
				if ev.Kind == "exceeded" {
					return ev
				}
				if ev.Kind != "cleared" {
					t.Errorf("event %+v", ev)
				}
			case <-heard:
				waiting = false
			}
		}
		r.SetValue(r.nprocs, 10)
		time.Sleep(100 * time.Millisecond) // some samples
	}
	t.Fatalf("no event\n%s", r.stderr)
	return control.Event{}
}

// checkMetrics waits for what a monitor of NPROCS at 400 counts; exceeded is a
// pattern of how often.
func (r *rig) checkMetrics(t *testing.T, exceeded string) {
	t.Helper()
	m := regexp.MustCompile(`serving metrics" addr=(127\.0\.0\.1:\d+)`).FindStringSubmatch(r.stderr.String())
	if m == nil {
		t.Fatalf("no address of the metrics in the log:\n%s", r.stderr)
	}
	for _, want := range []string{
		`backdoor_target_up{target="t1"} 1`, `backdoor_sensor_value{class="level",sensor="NPROCS",target="t1"} 400`,
		`backdoor_events_total{kind="exceeded",target="t1"} ` + exceeded, `backdoor_sensorbox_fetch_duration_seconds_count{target="t1"} \d+`,
	} {
		line := regexp.MustCompile("(?m)^" + want + "$")
		r.eventually(t, "metrics with "+want, func() bool { return line.MatchString(scrape(t, m[1])) })
	}
}

func scrape(t *testing.T, addr string) string {
	t.Helper()
	resp, err := http.Get("http://" + addr + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// A target that says a name twice must not blind Prometheus.
func TestMetricsOfHostileTarget(t *testing.T) {
	r := newRig(t)
	r.SetSensor(bdtest.Sensor{Class: uapi.Level, Limit: 300, Value: 10, Name: "NPROCS"})
	r.configure(t, "")
	c := r.start(t)
	r.up(t, c)
	r.SetValue(r.nprocs, 400)
	r.eventually(t, "an event", func() bool { return strings.Contains(r.stderr.String(), "event=exceeded") })
	r.checkMetrics(t, "1")
}

// A fork bomb of uid 1000 is ended, and the audit log tells the story.
func TestHeals(t *testing.T) {
	r := newRig(t)
	bystander := r.AddProcess(bdtest.Proc{UID: 1001, Comm: "cat"})
	for range 150 {
		r.AddProcess(bdtest.Proc{UID: 1000, Comm: "bomb"})
	}
	r.configure(t, `
    repair: {coalesce: 20ms, cool_down: 100ms, attempts: 1}
    healers:
      - kind: proc
        sensors: [NPROCS]
        policy: {POLICY_TOO_MANY_PROCS: 100}
        confirm: 200ms
`)
	c := r.start(t)
	r.owned(t, c)
	r.SetValue(r.nprocs, 400)
	r.eventually(t, "the bomb is gone", func() bool {
		left := 0
		for _, p := range r.Processes() {
			if p.Comm == "bomb" {
				left++
			}
		}
		return left == 0
	})
	r.SetValue(r.nprocs, 10)
	if !r.Alive(bystander.PID) {
		t.Error("a bystander was killed")
	}
	var story []struct{ Step, Target string }
	r.eventually(t, "the incident has ended", func() bool {
		if err := c.Call(control.Request{Cmd: "audit", Target: "t1"}, &story); err != nil {
			t.Fatal(err)
		}
		return len(story) > 0 && story[len(story)-1].Step == "end"
	})
	if story[0].Step != "own" || story[1].Step != "event" {
		t.Errorf("the audit log begins with %+v", story[:2])
	}
}

func TestDryRunTouchesNothing(t *testing.T) {
	r := newRig(t)
	for range 150 {
		r.AddProcess(bdtest.Proc{UID: 1000, Comm: "bomb"})
	}
	r.configure(t, "    healers: [{kind: proc, sensors: [NPROCS], policy: {POLICY_TOO_MANY_PROCS: 100}, confirm: 100ms}]\n")
	before := len(r.Processes())
	c := r.start(t, "--dry-run")
	r.up(t, c)
	r.SetValue(r.nprocs, 400)
	r.eventually(t, "a plan", func() bool { return strings.Contains(r.stderr.String(), "result=dry-run") })
	if n := len(r.Processes()); n != before {
		t.Errorf("%d of %d processes left", n, before)
	}
	if err := c.Call(control.Request{Cmd: "lock", Target: "t1"}, nil); err == nil || !strings.Contains(err.Error(), "--dry-run") {
		t.Errorf("lock: %v", err)
	}
}

func TestLockUnlockAndSIGTERM(t *testing.T) {
	r := newRig(t)
	r.configure(t, "")
	c := r.start(t)
	r.owned(t, c)
	var lock control.Lock
	if err := c.Call(control.Request{Cmd: "lock", Target: "t1", LeaseMs: 30_000}, &lock); err != nil || len(lock.CPUs) != 2 {
		t.Fatalf("lock %+v, %v", lock, err)
	}
	if _, held := r.LockHolder(); !held {
		t.Error("the target is not locked")
	}
	if err := c.Call(control.Request{Cmd: "lock", Target: "t1"}, nil); err == nil {
		t.Error("locked twice")
	}
	if err := c.Call(control.Request{Cmd: "unlock", Target: "t1"}, nil); err != nil {
		t.Error(err)
	}
	if err := c.Call(control.Request{Cmd: "unlock", Target: "t1"}, nil); err == nil || !strings.Contains(err.Error(), "condition is false") {
		t.Errorf("second unlock: %v", err)
	}
	if err := c.Call(control.Request{Cmd: "lock", Target: "t1", LeaseMs: 150}, nil); err != nil {
		t.Fatal(err)
	}
	r.eventually(t, "the lock's time is over", func() bool { _, held := r.LockHolder(); return !held })
	r.eventually(t, "it is given to the next", func() bool {
		return c.Call(control.Request{Cmd: "lock", Target: "t1", LeaseMs: 60_000}, nil) == nil
	})
	if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case code := <-r.code:
		if code != 0 {
			t.Errorf("exit %d", code)
		}
	case <-time.After(time.Minute):
		t.Fatalf("SIGTERM does not end bdmon\n%s", r.stderr)
	}
	if _, held := r.LockHolder(); held {
		t.Error("SIGTERM left the target locked")
	}
	// Three holds: each is asked for, granted and given back, and the log says by whom.
	log, err := os.ReadFile(r.path("audit.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	var steps []string
	for _, m := range regexp.MustCompile(`"step":"([a-z ]+)"`).FindAllSubmatch(log, -1) {
		steps = append(steps, string(m[1]))
	}
	if got := strings.Join(steps, " "); got != "own "+strings.Repeat("lock locked unlock ", 3)+"yield released" {
		t.Errorf("audit log: %s\n%s", got, log)
	}
	for _, why := range []string{"by uid ", "its time is over", "this monitor ends"} {
		if !strings.Contains(string(log), `"why":"`+why) {
			t.Errorf("no %q in %s", why, log)
		}
	}
}

func TestKillByHand(t *testing.T) {
	r := newRig(t)
	victim := r.AddProcess(bdtest.Proc{UID: 1000, Comm: "victim"})
	other := r.AddProcess(bdtest.Proc{UID: 1000, Comm: "other"})
	r.configure(t, "")
	c := r.start(t)
	r.owned(t, c)
	var done control.Done
	if err := c.Call(control.Request{Cmd: "kill", Target: "t1", PID: uint32(victim.PID)}, &done); err != nil || done.Result != "done" {
		t.Fatalf("kill: %+v, %v", done, err)
	}
	r.eventually(t, "the victim is gone", func() bool { return !r.Alive(victim.PID) })
	if !r.Alive(other.PID) {
		t.Error("the other was killed too")
	}
	if err := c.Call(control.Request{Cmd: "kill", Target: "t1", PID: 99999}, nil); err == nil {
		t.Error("killed a process that is not there")
	}
	if err := c.Call(control.Request{Cmd: "kill", Target: "t1", PID: uint32(other.PID), Start: 1}, nil); err == nil || !r.Alive(other.PID) {
		t.Errorf("a reused pid: %v", err)
	}
	if err := c.Call(control.Request{Cmd: "hook", Target: "t1", Knob: "swappiness", Value: 10}, &done); err != nil {
		t.Errorf("hook: %v", err)
	}
}

func TestReload(t *testing.T) {
	r := newRig(t)
	r.configure(t, "")
	c := r.start(t)
	before := r.up(t, c)
	hup := func(want string) {
		t.Helper()
		seen := strings.Count(r.stderr.String(), want)
		if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		r.eventually(t, want, func() bool { return strings.Count(r.stderr.String(), want) > seen })
	}
	// Nothing has changed: the target is left alone.
	hup("configuration reloaded")
	if now := r.up(t, c); now.Samples < before.Samples {
		t.Errorf("the target was restarted: %d samples, had %d", now.Samples, before.Samples)
	}
	// A mistake changes nothing either.
	r.configure(t, "    perod: 1\n")
	hup("configuration not reloaded")
	r.up(t, c)
	// An override comes into force, openly.
	r.configure(t, "    sensors: {NPROCS: {limit: 5}}\n")
	hup("configuration reloaded")
	var sensors []control.Sensor
	r.eventually(t, "the new limit", func() bool {
		err := c.Call(control.Request{Cmd: "sensors", Target: "t1"}, &sensors)
		return err == nil && len(sensors) == 2 && sensors[1].Limit == 5 && sensors[1].Contract == 300 && sensors[1].Firing
	})
	// So does another key in the same file.
	r.up(t, c)
	began := strings.Count(r.stderr.String(), "watching target")
	r.write(t, "key", strings.Repeat("7", 32))
	hup("configuration reloaded")
	r.eventually(t, "a session with the new key", func() bool { return strings.Count(r.stderr.String(), "watching target") > began })
	// What needs a restart is told once, and again only if it is another wish.
	file, err := os.ReadFile(r.path("bdmon.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for i, port := range []string{"1", "1", "2", "0", "2"} {
		r.write(t, "bdmon.yaml", strings.Replace(string(file), "127.0.0.1:0", "127.0.0.1:"+port, 1))
		hup("configuration reloaded")
		if n := strings.Count(r.stderr.String(), "at a restart only"); n != []int{1, 1, 2, 2, 3}[i] {
			t.Errorf("reload %d: told %d times", i, n)
		}
	}
	// And the audit log's name is another file's after it was rotated.
	if err := os.Rename(r.path("audit.jsonl"), r.path("audit.jsonl.1")); err != nil {
		t.Fatal(err)
	}
	hup("configuration reloaded")
	if _, err := os.Stat(r.path("audit.jsonl")); err != nil {
		t.Errorf("the audit log was not reopened: %v", err)
	}
}

// A healer's sensor that the target does not have is told in the log and to
// bdctl: nothing would ever be healed.
func TestMissingSensorIsTold(t *testing.T) {
	r := newRig(t)
	r.configure(t, "    healers: [{kind: proc, sensors: [NPORCS, failed], policy: {POLICY_TOO_MANY_PROCS: 5}}]\n")
	c := r.start(t)
	r.eventually(t, "it is told to bdctl", func() bool { return r.up(t, c).Error == "the target has no sensor NPORCS" })
	if log := r.stderr.String(); !strings.Contains(log, "level=ERROR") || !strings.Contains(log, "NPORCS") || strings.Contains(log, "failed]") {
		t.Errorf("log:\n%s", log)
	}
	r.SetSensor(bdtest.Sensor{Class: uapi.Level, Limit: 300, Value: 10, Name: "NPORCS"})
	r.eventually(t, "the sensor has appeared", func() bool { return r.up(t, c).Error == "" })
}

func TestSystemdNotification(t *testing.T) {
	r := newRig(t)
	path := r.path("notify")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_USEC", "100000")
	t.Setenv("WATCHDOG_PID", fmt.Sprint(os.Getpid()))
	r.configure(t, "")
	r.start(t)
	want := func(prefix string) {
		t.Helper()
		b := make([]byte, 200)
		l.SetReadDeadline(time.Now().Add(time.Minute))
		for {
			n, err := l.Read(b)
			if err != nil {
				t.Fatalf("no %s: %v", prefix, err)
			}
			if strings.HasPrefix(string(b[:n]), prefix) {
				return
			}
		}
	}
	want("READY=1")
	want("WATCHDOG=1")
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	want("RELOADING=1\nMONOTONIC_USEC=")
	want("READY=1")
	r.stop()
	want("STOPPING=1")
}

func TestSecondBdmonIsRefused(t *testing.T) {
	r := newRig(t)
	r.configure(t, "")
	r.up(t, r.start(t))
	if code, _, errs := bdmon("--config", r.path("bdmon.yaml")); code != 1 || !strings.Contains(errs, "another bdmon answers there") {
		t.Errorf("exit %d, %q", code, errs)
	}
}
