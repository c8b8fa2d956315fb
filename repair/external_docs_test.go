// SPDX-License-Identifier: Apache-2.0

package repair

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lazystate/repair/policy"
)

// documented returns the code blocks of one kind in the docs' section on
// external healers.
func documented(t *testing.T, kind string) [][]byte {
	t.Helper()
	page, err := os.ReadFile(filepath.Join("..", "docs", "protocol.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := bytes.Cut(page, []byte("\n## External healers\n"))
	if !ok {
		t.Fatal("docs/protocol.md has no section on external healers")
	}
	section, _, _ = bytes.Cut(section, []byte("\n## "))
	var all [][]byte
	for _, m := range regexp.MustCompile("(?s)```"+kind+"\n(.*?)```").FindAllSubmatch(section, -1) {
		all = append(all, m[1])
	}
	return all
}

// The request in the docs is one that this code sends: the same fields, the
// same version, and with no more and no less in them.
func TestDocumentedRequest(t *testing.T) {
	blocks := documented(t, "json")
	if len(blocks) != 4 {
		t.Fatalf("%d blocks of JSON, want a request and three answers", len(blocks))
	}
	var r externalRequest
	dec := json.NewDecoder(bytes.NewReader(blocks[0]))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&r); err != nil {
		t.Fatal(err)
	}
	if r.Version != externalVersion {
		t.Errorf("the docs have version %d, the code %d", r.Version, externalVersion)
	}
	sent, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var ours, theirs map[string]any
	if err := json.Unmarshal(sent, &ours); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(blocks[0], &theirs); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(ours, theirs); d != "" {
		t.Errorf("what is sent (-) and the docs (+) differ:\n%s", d)
	}
}

// The answers in the docs are taken, for the processes of the request there.
func TestDocumentedAnswers(t *testing.T) {
	blocks := documented(t, "json")
	var r externalRequest
	if err := json.Unmarshal(blocks[0], &r); err != nil {
		t.Fatal(err)
	}
	var table policy.Table
	for _, p := range r.Processes {
		q := policy.Process{PID: p.PID, PPID: p.PPID, UID: p.UID, EUID: p.EUID, Comm: p.Comm, State: p.State[0], Kernel: p.Kernel, Start: time.Duration(p.StartNs)}
		if !p.Kernel {
			q.MM = uint64(p.PID)
		}
		table.Processes = append(table.Processes, q)
	}
	for i, culprits := range []int{2, 2, 0} {
		a, err := decodeAnswer(blocks[1+i])
		if err != nil {
			t.Fatalf("%s: %v", blocks[1+i], err)
		}
		p := &Plan{}
		if err := p.accept(table, a); err != nil || len(p.Culprits) != culprits {
			t.Errorf("%s: %d culprits, want %d: %v", blocks[1+i], len(p.Culprits), culprits, err)
		}
	}
}

// The program in the docs heals a fork bomb.
func TestDocumentedProgram(t *testing.T) {
	blocks := documented(t, "sh")
	if len(blocks) != 1 {
		t.Fatalf("%d programs", len(blocks))
	}
	path := filepath.Join(t.TempDir(), "healer")
	if err := os.WriteFile(path, blocks[0], 0o700); err != nil {
		t.Fatal(err)
	}
	m := newSick(t)
	m.bomb(60)
	h := program("")
	h.Argv, h.Timeout = []string{path}, time.Minute
	if r := m.treat(h, m.exceeded()); r.Result != Healed || r.Killed < 60 {
		t.Fatalf("result %v, killed %d: %v", r.Result, r.Killed, r.Err)
	}
	m.innocent()
}
