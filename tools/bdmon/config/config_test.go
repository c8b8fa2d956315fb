// SPDX-License-Identifier: Apache-2.0

package config

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lazystate/tools/heal"
)

const whole = `
metrics: 127.0.0.1:0
targets:
  - name: t1
    url: lab:t1
    slot: 2
    key_file: /etc/lazystate/keys/t1
    period: 10ms
    accuracy: 1e-8
    reset: unrepairable
    fence_command: [/usr/sbin/fence, t1]
    sensors:
      NPROCS: {limit: 300}
      ctxt: {limit: 250ms}
      intr: {ignore: true}
    repair: {cool_down: 3s, attempts: 2, reset: {confirm: 30s, cool_down: 1h}}
    healers:
      - kind: proc
        sensors: [NPROCS, MAXPROCRATE_PERUID]
        policy:
          any:
            - POLICY_TOO_MANY_PROCS: 100
            - all: [{POLICY_RATE_TOO_HIGH: 50}, {POLICY_TREE_TOO_DEEP: 20}]
            - weighted: {limit: 1.5, terms: [{weight: 1, POLICY_TOO_MANY_PROCS: 60}, {weight: 0.5, POLICY_RATE_TOO_HIGH: 9}]}
        spare: {uids: [26], users: [root], commands: [{name: backup, uid: 34}, {name: sshd}]}
        confirm: 1s
      - kind: memory
        sensors: [OOM_KILLER_RUNNING]
        policy: {POLICY_MAX_RSSUID_SAVEUID: 1e8}
        free: [free_pages, free_swap]
        floor: 4096
      - kind: external
        sensors: [failed]
        argv: [/usr/local/bin/diagnose, --fast]
`

func TestWholeFile(t *testing.T) {
	c, err := Parse([]byte(whole))
	if err != nil {
		t.Fatal(err)
	}
	target := c.Targets[0]
	if target.Period != Duration(10*time.Millisecond) || target.Accuracy != 1e-8 || target.Repair.CoolDown != Duration(3*time.Second) {
		t.Errorf("%+v", target)
	}
	if !target.Reset || target.Repair.Reset.CoolDown != Duration(time.Hour) || target.FenceCommand[1] != "t1" {
		t.Errorf("reset %v by %v, %+v", target.Reset, target.FenceCommand, target.Repair.Reset)
	}
	rules := target.Rules()
	if *rules["NPROCS"].Limit != 300 || *rules["ctxt"].Limit != 250_000 || !rules["intr"].Ignore {
		t.Errorf("rules %+v", rules)
	}
	h, err := target.Healers[0].Build()
	if err != nil || h.Name() != "Proc_Repair_Healer" {
		t.Errorf("healer %v, %v", h, err)
	}
	p, err := target.Healers[0].Policy.build()
	if err != nil || p.String() != "(POLICY_TOO_MANY_PROCS>100 or (POLICY_RATE_TOO_HIGH>50 and POLICY_TREE_TOO_DEEP>20) or (1*POLICY_TOO_MANY_PROCS>60 + 0.5*POLICY_RATE_TOO_HIGH>9 > 1.5))" {
		t.Errorf("policy %v, %v", p, err)
	}
	if c.Socket != DefaultSocket || c.Audit == "" {
		t.Errorf("defaults %+v", c)
	}
}

// A salvage healer's command is told how the machine was fenced; what it prints is what
// was carried out, and what was lost. One that fails is run again.
func TestSalvageCommand(t *testing.T) {
	const file = "targets: [{name: a, url: 'lab:a', key_file: k, healers: [{kind: salvage, sensors: [failed], argv: [/bin/sh, -c, '%s'], timeout: 1m, fence: 1ms}]}]\n"
	made := func(script string) *heal.Salvage {
		c, err := Parse(fmt.Appendf(nil, file, script))
		if err != nil {
			t.Fatal(err)
		}
		h, err := c.Targets[0].Healers[0].Build()
		s, ok := h.(*heal.Salvage)
		if err != nil || !ok || s.Fence != time.Millisecond || len(s.How) != 1 || !strings.HasPrefix(s.How[0], "run /bin/sh") || s.Heir != 0 {
			t.Fatalf("%+v, %v", h, err)
		}
		return s
	}
	s := made("echo by $LAZYSTATE_FENCED; echo lost: two")
	for portOnly, how := range map[bool]string{false: "by cpus", true: "by port"} {
		got, err := s.Carry(t.Context(), portOnly)
		if err != nil || !slices.Equal(got.Live, []string{how}) || !slices.Equal(got.Lost, []string{"two"}) {
			t.Errorf("%+v, %v", got, err)
		}
	}
	if got, err := made("echo nobody is there >&2; exit 1").Carry(t.Context(), false); err == nil || !strings.Contains(err.Error(), "nobody is there") {
		t.Errorf("%+v, %v", got, err)
	}
}

// A salvage healer needs nothing but the machine's name.
func TestSalvageHealer(t *testing.T) {
	c, err := Parse([]byte("targets: [{name: a, url: 'lab:a', key_file: k, healers: [{kind: salvage, sensors: [panicked, failed], machine: web1}]}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	h, err := c.Targets[0].Healers[0].Build()
	if s, ok := h.(*heal.Salvage); err != nil || !ok || s.Machine != "web1" || s.Confirm != 2*time.Second || s.Carry == nil || s.Heir == 0 || s.Supersedes != 0 {
		t.Errorf("%+v, %v", h, err)
	}
}

// Typos come back with line and column, mistakes with their path.
func TestMistakes(t *testing.T) {
	one := func(more string) string { return "targets:\n  - name: t1\n    url: lab:t1\n" + more }
	for name, c := range map[string]struct{ file, want string }{
		"empty":          {"", "no targets"},
		"no targets":     {"metrics: '-'\n", "no targets"},
		"typo":           {one("    perod: 10ms\n"), "[4:5]"},
		"typo's name":    {one("    perod: 10ms\n"), `unknown field "perod"`},
		"deep typo":      {one("    sensors:\n      NPROCS: {limt: 3}\n"), "[5:16]"},
		"twice":          {one("    url: lab:t2\n"), "[4:5]"},
		"not yaml":       {"targets: [\n", "[1:"},
		"bad limit":      {one("    sensors: {NPROCS: {limit: many}}\n"), `limit "many"`},
		"bad duration":   {one("    period: fast\n"), "[4:13]"},
		"control":        {"targets: [{name: \"a\\nb\", url: 'lab:t1'}]\n", "[1:18] targets[0].name"},
		"no name":        {"targets: [{url: 'lab:t1'}]\n", "[1:11] targets[0]: no name"},
		"same name":      {"targets: [{name: a, url: 'lab:a'}, {name: a, url: 'lab:b'}]\n", `targets[1].name: "a" is used twice`},
		"bad URL":        {"targets: [{name: a, url: 'http://a'}]\n", "targets[0].url: target URL"},
		"rdma":           {"targets: [{name: a, url: 'rdma://a'}]\n", "an rdma target needs a key_file"},
		"two slots":      {"targets: [{name: a, url: 'rdma://a?monitor=2', slot: 1, key_file: k}]\n", "[1:26] targets[0].url: monitor=2, but slot is 1"},
		"slot":           {one("    slot: 8\n"), "[4:11] targets[0].slot: slot 8: a target has 8"},
		"period":         {one("    period: 10us\n"), "[4:13] targets[0].period: 10µs: at least 1 ms"},
		"no key":         {one("    healers: [{kind: proc, sensors: [NPROCS]}]\n"), "healers need a key_file"},
		"reset":          {one("    reset: always\n"), "[4:12]"},
		"reset, no key":  {one("    reset: unrepairable\n"), "a reset needs a key_file"},
		"fence alone":    {one("    key_file: k\n    fence_command: [f]\n"), "would never be run"},
		"reset, no way":  {"targets: [{name: a, url: 'inic:///r', key_file: k, reset: unrepairable}]\n", "needs a fence_command"},
		"another's port": {"targets: [{name: a, url: 'rdma://a', key_file: k, port_command: [f]}]\n", "it is bdnic's"},
		"healer's kind":  {one("    key_file: k\n    healers: [{kind: magic, sensors: [NPROCS]}]\n"), "[5:22] targets[0].healers[0].kind: want proc, memory, external or salvage"},
		"salvage of":     {one("    key_file: k\n    healers: [{kind: salvage, sensors: [failed]}]\n"), "needs the machine"},
		"salvage by":     {one("    key_file: k\n    healers: [{kind: salvage, sensors: [failed], argv: [a], scd: /s}]\n"), "scd without the machine"},
		"salvage's time": {one("    key_file: k\n    healers: [{kind: salvage, sensors: [failed], machine: m, timeout: 3s}]\n"), "is its command's"},
		"salvage's heir": {one("    key_file: k\n    healers: [{kind: salvage, sensors: [failed], machine: m, recovery: a, supersedes: a}]\n"), "the recovery node itself"},
		"no salvage's":   {one("    key_file: k\n    healers: [{kind: proc, sensors: [a], recovery: a}]\n"), "belong to a salvage healer"},
		"salvage kills":  {one("    key_file: k\n    healers: [{kind: salvage, sensors: [failed], machine: m, nproc: 3}]\n"), "kills nobody"},
		"no sensors":     {one("    key_file: k\n    healers: [{kind: proc}]\n"), "targets[0].healers[0]: no sensors"},
		"memory healer":  {one("    key_file: k\n    healers: [{kind: memory, sensors: [OOM]}]\n"), "no policy"},
		"two policies":   {one("    key_file: k\n    healers: [{kind: proc, sensors: [a], policy: {POLICY_MAX_RSS: 1, POLICY_MAX_RSSUID: 2}}]\n"), "got 2 of them"},
		"policy's limit": {one("    key_file: k\n    healers: [{kind: proc, sensors: [a], policy: {POLICY_TOO_MANY_PROCS: 0}}]\n"), "want a number above 0"},
		"accuracy":       {one("    accuracy: .nan\n"), "[4:15] targets[0].accuracy: NaN: want a probability"},
		"loss":           {one("    loss: .inf\n"), "[4:11] targets[0].loss: +Inf: want a probability"},
		"never acts":     {one("    key_file: k\n    healers: [{kind: salvage, sensors: [failed], machine: m, confirm: 3s}]\n    repair: {bound: 3s}\n"), "it would never act"},
		"never called":   {one("    key_file: k\n    healers: [{kind: salvage, sensors: [panicked], machine: m}]\n    reset: unrepairable\n    repair: {coalesce: 1s, reset: {confirm: 1s}}\n"), "[7:13] targets[0].repair: reset.confirm, 1s, is not longer than coalesce, 1s: the machine would be reset before healers[0] is called"},
		"by default":     {one("    key_file: k\n    healers: [{kind: salvage, sensors: [panicked], machine: m}]\n    reset: unrepairable\n    repair: {coalesce: 10s}\n"), "reset.confirm, 10s, is not longer than coalesce, 10s"},
		"attempts":       {one("    repair: {attempts: -1}\n"), "[4:24] targets[0].repair.attempts: -1"},
		"cool-down":      {one("    repair: {reset: {cool_down: -1s}}\n"), "[4:33]"},
		"metrics":        {"metrics: nonsense\n" + one(""), "[1:10] metrics: address nonsense"},
		"two documents":  {one("---\ntargets: []\n"), "a second YAML document"},
		"weighted all":   {one("    key_file: k\n    healers: [{kind: proc, sensors: [a], policy: {weighted: {limit: 1, terms: [{weight: 1, all: [{POLICY_RATE_TOO_HIGH: 1}]}]}}}]\n"), "a term is one POLICY_ name"},
		"no weight":      {one("    key_file: k\n    healers: [{kind: proc, sensors: [a], policy: {weighted: {limit: 1, terms: [{POLICY_RATE_TOO_HIGH: 1}]}}}]\n"), "weight 0"},
		"no terms":       {one("    key_file: k\n    healers: [{kind: proc, sensors: [a], policy: {weighted: {limit: 1}}}]\n"), "needs terms"},
		"nproc":          {one("    key_file: k\n    healers: [{kind: proc, sensors: [a], nproc: -1, policy: {POLICY_MAX_RSS: 1}}]\n"), "[5:49] targets[0].healers[0].nproc"},
		"unknown user":   {one("    key_file: k\n    healers: [{kind: proc, sensors: [a], spare: {users: [nobody-at-all]}}]\n"), "nobody-at-all"},
	} {
		_, err := Parse([]byte(c.file))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

// What is no file of a sane length is refused, not waited for or read into memory.
func TestLoadRefuses(t *testing.T) {
	dir := t.TempDir()
	fifo, big := filepath.Join(dir, "fifo"), filepath.Join(dir, "big")
	err := errors.Join(syscall.Mkfifo(fifo, 0o600), os.WriteFile(big, nil, 0o600), os.Truncate(big, 1<<20+1))
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		fifo: "not a regular file", big: "at most 1048576", "/dev/zero": "not a regular file", dir: "not a regular file",
		filepath.Join(dir, "none"): "no such file",
	} {
		if _, err := Load(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", path, err, want)
		}
	}
}

// Every key of the file is described in the manual, and no other.
func TestManualHasEveryKey(t *testing.T) {
	page, err := os.ReadFile("../../pkg/man/bdmon.yaml.5")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	keysOf(reflect.TypeFor[Config](), known)
	told := map[string]bool{}
	for line := range strings.Lines(string(page)) {
		if key, ok := strings.CutPrefix(strings.TrimSpace(line), ".It Cm "); ok {
			told[key] = true
		}
	}
	if d := cmp.Diff(known, told); d != "" {
		t.Errorf("keys of the file (-) and of the manual (+):\n%s", d)
	}
}

func keysOf(t reflect.Type, into map[string]bool) {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		keysOf(t.Elem(), into)
	case reflect.Struct:
		for i := range t.NumField() {
			key := t.Field(i).Tag.Get("yaml")
			if key == "" || key == ",inline" || into[key] && t == reflect.TypeFor[Policy]() {
				continue
			}
			into[key] = true
			keysOf(t.Field(i).Type, into)
		}
	}
}

func TestKeyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	target := Target{KeyFile: path}
	write := func(content string, mode os.FileMode) {
		t.Helper()
		if err := os.WriteFile(path, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	write("000102030405060708090a0b0c0d0e0f\n", 0o600)
	if key, err := target.Key(); err != nil || key[15] != 15 {
		t.Errorf("key %x, %v", key, err)
	}
	write("000102030405060708090a0b0c0d0e0f\n", 0o640)
	if _, err := target.Key(); err == nil {
		t.Error("a key that others may read was taken")
	}
	write("0001", 0o600)
	if _, err := target.Key(); err == nil {
		t.Error("a short key was taken")
	}
	if err := errors.Join(os.Remove(path), syscall.Mkfifo(path, 0o600)); err != nil {
		t.Fatal(err)
	}
	if _, err := target.Key(); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("a FIFO: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(whole))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := Parse(b)
		if err == nil && len(c.Targets) == 0 {
			t.Error("accepted a configuration without targets")
		}
	})
}

func TestExampleIsValid(t *testing.T) {
	c, err := Load("../../pkg/bdmon.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Targets) != 1 || len(c.Targets[0].Healers) != 2 {
		t.Fatalf("%+v", c)
	}
	// So are the keys that stand in it as comments, with the defaults they tell.
	text, err := os.ReadFile("../../pkg/bdmon.yaml")
	if err != nil {
		t.Fatal(err)
	}
	full, err := Parse(regexp.MustCompile(`(?m)^( *)# ([a-z0-9_/]+: .)`).ReplaceAll(text, []byte("$1$2")))
	if err != nil {
		t.Fatal(err)
	}
	if !full.DryRun || full.Group == "" || full.Socket != c.Socket || full.Metrics != c.Metrics || full.Audit != c.Audit ||
		full.Fleet == nil || len(full.Fleet.Monitors) != 2 || full.Targets[0].Probe == nil || full.Fleet.Lease != defaultLease ||
		!bool(full.Targets[0].Reset) || len(full.Targets[0].FenceCommand) == 0 || len(full.Targets[0].PortCommand) == 0 || len(full.Targets[0].Sensors) != 2 {
		t.Errorf("with the comments as keys: %+v", full)
	}
	// Each sensor it names is one of the module's.
	files, err := filepath.Glob("../../../kmod/bd_*.c")
	if err != nil || len(files) == 0 {
		t.Fatalf("the module's sources: %v, %v", files, err)
	}
	module := map[string]bool{}
	declared := regexp.MustCompile(`"([A-Z][A-Z_.%d]*)",\s+"[a-z/]+"`) // name, unit
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range declared.FindAllSubmatch(b, -1) {
			module[string(m[1])] = true
		}
	}
	for _, name := range slices.Concat(c.Targets[0].Expected(), slices.Collect(maps.Keys(c.Targets[0].Sensors))) {
		if !module[name] {
			t.Errorf("the module has no sensor %s, it has %v", name, slices.Sorted(maps.Keys(module)))
		}
	}
}
