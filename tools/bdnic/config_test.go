// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lazystate/backdoor/guard"
	"lazystate/backdoor/uapi"
	"lazystate/internal/keyfile"
)

const base = "target: lab:t1\nkeys: k\nlisten: [{device: 'roce://10.0.0.1', address: '10.0.0.1:7777'}]\n"

func TestPolicy(t *testing.T) {
	c, err := parse([]byte(base + `
monitors:
  - {slot: 1, name: m1, read: [sensorbox, memory], write: [kill_req, lock_req], lock: false}
  - {slot: 2, fence: true, own: false}
agreement:
  - {writes: kill_req, k: 2, voters: [1, 2], window: 2s}
  - {reads: memory, k: 3, window: 500ms}
hold: 10s
`))
	if err != nil {
		t.Fatal(err)
	}
	p, err := c.policy([]keyfile.Slot{{Slot: 1, Key: [16]byte{1}}, {Slot: 2, Key: [16]byte{2}}, {Slot: 3, Key: [16]byte{3}}})
	if err != nil {
		t.Fatal(err)
	}
	want := guard.Monitor{
		Name: "m1", Key: uapi.Key{1}, Read: guard.Kinds(uapi.KindTable, uapi.KindSensorbox, uapi.KindMemory),
		Write: guard.Kinds(uapi.KindKillReq, uapi.KindLockReq), Own: true,
	}
	if p.Monitors[1] != want {
		t.Errorf("monitor 1: %+v", p.Monitors[1])
	}
	if m := p.Monitors[2]; !m.Fence || m.Own || !m.Lock || m.Read != everything || m.Write != everything {
		t.Errorf("monitor 2: %+v", m)
	}
	if m := p.Monitors[3]; m.Fence || !m.Own || !m.Lock || m.Read != everything {
		t.Errorf("monitor 3, of which the file says nothing: %+v", m)
	}
	if a := p.Writes[uapi.KindKillReq]; a != (guard.Agreement{K: 2, Voters: 0b110, Window: 2 * time.Second}) || p.Hold != 10*time.Second {
		t.Errorf("agreement %+v, hold %v", a, p.Hold)
	}
	if _, err := guard.New(p); err != nil {
		t.Error(err)
	}
}

// Mistakes come with line and column.
func TestMistakes(t *testing.T) {
	dir := t.TempDir()
	keys := filepath.Join(dir, "keys")
	if err := os.WriteFile(keys, []byte("1 000102030405060708090a0b0c0d0e0f\n2 000102030405060708090a0b0c0d0e10\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	good := strings.Replace(base, "keys: k", "keys: "+keys, 1)
	for text, want := range map[string]string{
		"":                             "no target",
		"target: rdma://a\n":           "[1:9] target: want the machine's own memory",
		"target: t1\n":                 "[1:9] target",
		"target: lab:t1\n":             "no keys",
		"target: lab:t1\nkeys: k\n":    "nothing to listen at",
		good + "metrics: x\n":          "[4:10] metrics",
		good + "typo: 1\n":             "[4:1]",
		good + "monitors: [{slot: 5}]": "[4:19] monitors[0].slot: slot 5 has no key",
		good + "monitors: [{slot: 1}, {slot: 1}]":                                                        "[4:30] monitors[1].slot: slot 1 is named twice",
		good + "monitors: [{slot: 1, read: [everything]}]":                                               `[4:28] monitors[0].read: no regions are called "everything"; there are table, manifest`,
		good + "agreement: [{k: 2, window: 1s}]":                                                         "agreement[0]: want either writes or reads",
		good + "agreement: [{writes: kills, k: 2, window: 1s}]":                                          `agreement[0].writes: no regions are called "kills"`,
		good + "agreement: [{reads: memory, voters: [9], window: 1s}]":                                   "voters: slot 9",
		good + "agreement: [{writes: kill_req, k: 3, window: 1s}]":                                       "writes of kill req: 3 of 2",
		good + "agreement: [{writes: kill_req, k: 2, window: soon}]":                                     "want a duration",
		strings.Replace(good, "10.0.0.1:7777", "here", 1):                                                "[3:47] listen[0].address",
		strings.Replace(good, "device: 'roce://10.0.0.1', ", "", 1):                                      "listen[0]: no device",
		strings.Replace(good, keys, filepath.Join(dir, "nowhere"), 1):                                    "nowhere",
		good + "agreement: [{writes: kill_req, k: 2, window: 1s}, {writes: kill_req, k: 2, window: 1s}]": "kill_req is there twice",
	} {
		path := filepath.Join(dir, "bdnic.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, _, err := load(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", strings.TrimPrefix(text, good), err, want)
		}
	}
}

func TestExampleIsValid(t *testing.T) {
	b, err := os.ReadFile("../pkg/bdnic.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c, err := parse(b)
	if err != nil {
		t.Fatal(err)
	}
	var keys []keyfile.Slot
	for slot := range uint32(3) {
		keys = append(keys, keyfile.Slot{Slot: slot, Key: [16]byte{byte(slot + 1)}})
	}
	p, err := c.policy(keys)
	if err == nil {
		_, err = guard.New(p)
	}
	if err != nil {
		t.Error(err)
	}
	// What is commented out is right, too.
	var all strings.Builder
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "#  "); ok {
			line = rest
		}
		all.WriteString(line)
	}
	c, err = parse([]byte(all.String()))
	if err == nil {
		p, err = c.policy(keys)
	}
	if err == nil {
		_, err = guard.New(p)
	}
	if err != nil || len(c.Monitors) == 0 || len(c.Agreement) == 0 {
		t.Errorf("with all of its examples: %v\n%s", err, all.String())
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(base))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := parse(b)
		if err == nil && (c.Target == "" || len(c.Listen) == 0) {
			t.Errorf("accepted %+v", c)
		}
		if err == nil {
			if _, err := c.policy(nil); errors.Is(err, os.ErrNotExist) {
				t.Error(err)
			}
		}
	})
}
