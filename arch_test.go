// SPDX-License-Identifier: Apache-2.0

package lazystate

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

// layers, lowest first: a package imports only from rows below its own, and
// from its own row where the row says so. See docs/design.md.
var layers = []struct {
	name  string
	peers bool // packages of the row may import one another
	pkgs  []string
}{
	{"ground", true, []string{".", "internal/*"}},
	{"binding", true, []string{"verbs", "verbs/*", "verbs/*/*"}},
	{"idea", true, []string{"backdoor", "backdoor/uapi", "backdoor/layout"}},
	{"carriers", false, []string{"backdoor/rdma", "backdoor/inic", "backdoor/bdtest"}},
	{"elements", true, []string{"dsm/heap", "dsm/vtime", "dsm/diff", "dsm/logs"}},
	{"cores", false, []string{"sensorbox", "sensorbox/fleet", "backdoor/guard", "repair/policy", "mtcp", "mtcp/wire", "mtcp/party", "mtcp/policy", "dsm"}},
	{"parts", true, []string{"mtcp/cbox", "mtcp/cbox/*", "dsm/wire", "dsm/call", "dsm/call/*", "dsm/pager", "dsm/shelf", "mtcp/keeper", "mtcp/keeper/*", "mtcp/web", "mtcp/tcprepair", "mtcp/extract", "mtcp/extract/*", "mtcp/landing", "mtcp/steer", "mtcp/takeover", "mtcp/escrow", "repair/drill", "backdoor/nic"}},
	{"services", false, []string{"sensorbox/monitor", "repair", "mtcp/migrate", "mtcp/salvage", "dsm/transport", "dsm/store", "dsm/daemon", "dsm/client"}},
	{"lab", true, []string{"tools/lab", "tools/lab/*"}},
	{"glue", false, []string{"tools/target", "tools/control", "tools/heal"}},
	{"bed", false, []string{"tools/testbed"}},
	{"commands", true, []string{"tools/*", "tools/*/*", "tools/*/*/*", "kmod/*", "bench", "bench/*", "bench/*/*", "bench/*/*/*", "examples/*", "examples/*/*"}},
}

// forbidden are imports that the order of the layers alone would allow.
var forbidden = []struct{ from, to, why string }{
	{"repair", "mtcp", "the systems meet only in tools/"},
	{"repair", "dsm", "the systems meet only in tools/"},
	{"mtcp", "repair", "the systems meet only in tools/"},
	{"mtcp", "dsm", "the systems meet only in tools/"},
	{"dsm", "repair", "the systems meet only in tools/"},
	{"dsm", "mtcp", "the systems meet only in tools/"},
}

// pure are the cores: no I/O, no clock, no goroutine (rule 3).
var pure = []string{"sensorbox", "sensorbox/fleet", "backdoor/guard", "repair/policy", "mtcp", "mtcp/wire", "mtcp/party", "mtcp/policy", "dsm/vtime", "dsm/diff", "dsm/logs", "dsm/heap", "dsm", "dsm/wire", "internal/seqnum", "internal/sampling"}

var impure = []string{"net", "os", "syscall", "log/slog", "os/exec", "math/rand", "golang.org/x/sys/unix"}

type listed struct {
	Dir, ImportPath string
	Name            string
	GoFiles         []string
	CgoFiles        []string
	TestGoFiles     []string
	XTestGoFiles    []string
	Imports         []string
}

func (p listed) rel() string {
	if p.ImportPath == "lazystate" {
		return "."
	}
	return strings.TrimPrefix(p.ImportPath, "lazystate/")
}

func list(t *testing.T) []listed {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=Dir,ImportPath,Name,GoFiles,CgoFiles,TestGoFiles,XTestGoFiles,Imports", "./...")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	var pkgs []listed
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return pkgs
		} else if err != nil {
			t.Fatal(err)
		}
		pkgs = append(pkgs, p)
	}
}

// layerOf returns the row of a package; the most exact pattern wins.
func layerOf(rel string) int {
	best, bestLen := -1, -1
	for i, l := range layers {
		for _, pat := range l.pkgs {
			if ok, _ := path.Match(pat, rel); ok && len(pat) > bestLen {
				best, bestLen = i, len(pat)
			}
		}
	}
	return best
}

func TestLayers(t *testing.T) {
	for _, p := range list(t) {
		from := layerOf(p.rel())
		if from < 0 {
			t.Errorf("%s belongs to no layer: add it to the table and to docs/design.md", p.rel())
			continue
		}
		for _, imp := range p.Imports {
			if imp == "lazystate" || strings.HasPrefix(imp, "lazystate/") {
				checkImport(t, p.rel(), strings.TrimPrefix(imp, "lazystate/"), from)
			}
		}
	}
}

func checkImport(t *testing.T, from, to string, row int) {
	t.Helper()
	toRow := layerOf(to)
	switch {
	case toRow > row, toRow == row && !layers[row].peers:
		t.Errorf("%s (%s) imports %s (%s)", from, layers[row].name, to, layers[toRow].name)
	case slices.Contains(pure, from) && to != "backdoor/uapi" && !strings.HasPrefix(to, "internal/") && !(slices.Contains(pure, to) && top(from) == top(to)):
		t.Errorf("core %s imports %s: only internal/*, backdoor/uapi and what is pure of its own system", from, to)
	case layers[toRow].name == "carriers" && slices.Contains([]string{"cores", "parts", "services"}, layers[row].name):
		t.Errorf("%s imports the carrier %s: it may see backdoor.Memory only", from, to)
	}
	for _, f := range forbidden {
		if top(from) == f.from && top(to) == f.to {
			t.Errorf("%s imports %s: %s", from, to, f.why)
		}
	}
}

// The main module meets etcd in tools/ alone, and never as a server.
func TestEtcdIsAClient(t *testing.T) {
	for _, p := range list(t) {
		for _, imp := range p.Imports {
			if !strings.HasPrefix(imp, "go.etcd.io/") {
				continue
			}
			if !strings.HasPrefix(p.rel(), "tools/") || strings.HasPrefix(imp, "go.etcd.io/etcd/server") {
				t.Errorf("%s imports %s", p.rel(), imp)
			}
		}
	}
}

func top(rel string) string { first, _, _ := strings.Cut(rel, "/"); return first }

func TestCgoOnlyInIbv(t *testing.T) {
	for _, p := range list(t) {
		if len(p.CgoFiles) > 0 && p.rel() != "verbs/ibv" {
			t.Errorf("%s uses cgo in %v", p.rel(), p.CgoFiles)
		}
	}
}
