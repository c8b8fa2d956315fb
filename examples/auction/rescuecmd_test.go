// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lazystate/backdoor/bdtest"
	"lazystate/backdoor/uapi"
	"lazystate/examples/outcome/pgtest"
	"lazystate/internal/freeport"
	"lazystate/mtcp/keeper"
	"lazystate/mtcp/keeper/keepertest"
)

// A client waits for a middle tier that is dead. Who has not fenced it is refused; then
// the command fences it, once a line has come, and the other middle tier answers.
func TestRescueCommand(t *testing.T) {
	const nowhere = "127.0.0.1:1"
	dsn, g := pgtest.New(t, schema+stock), keepertest.Guard(t, keeper.Config{})
	middle, control := freeport.Addr(t), freeport.Addr(t)
	g.Start(nil, "middle", "--name", "mt2", "--keeper", g.Socket, "--listen", middle, "--database", dsn)
	g.Start(nil, "front", "--keeper", g.Socket, "--listen", g.Addr, "--control", control, "--middle", "mt1="+nowhere+",mt2="+middle)
	_ = dial(t, middle).Close()
	b := browserOf(t, "mt1="+nowhere+",mt2="+middle, "mt1", func() *browser { return dial(t, g.Addr) })
	b.ask("categories")

	dir, key := t.TempDir(), uapi.Key{1, 2, 3}
	machine := bdtest.New(bdtest.WithBacking(bdtest.MapFile(t, filepath.Join(dir, "ram"), 16<<20), bdtest.MapFile(t, filepath.Join(dir, "bar"), 4096)),
		bdtest.WithBoxes(4, 32), bdtest.WithFence(), bdtest.WithKey(0, key))
	t.Cleanup(machine.Run(5 * time.Millisecond))
	file := filepath.Join(dir, "key")
	if err := os.WriteFile(file, []byte(hex.EncodeToString(key[:])), 0o600); err != nil {
		t.Fatal(err)
	}
	rescued := func(in string, more ...string) (code int, said string) {
		var out, errs bytes.Buffer
		args := append([]string{"auction", "rescue", "--target", "inic://" + filepath.Join(dir, "ram"), "--dead", "mt1", "--adopt", "mt2=" + middle, "--front", control}, more...)
		code = run(t.Context(), args, strings.NewReader(in), &out, &errs)
		return code, out.String() + errs.String()
	}
	for _, c := range []struct {
		in   string
		more []string
		code int
		says string
	}{
		{"", nil, 2, "--fenced"},
		{"", []string{"--fenced", "perhaps"}, 2, "--fenced"},
		{"", []string{"--fenced", "cpus"}, 1, "it is not fenced"},
		{"", []string{"--key-file", file, "--wait"}, 1, "wait for a line"},
	} {
		if code, said := rescued(c.in, c.more...); code != c.code || !strings.Contains(said, c.says) {
			t.Errorf("%v: exit %d: %s", c.more, code, said)
		}
	}
	if machine.Fenced() {
		t.Error("it is fenced, and nobody was to")
	}
	if code, said := rescued("\n", "--key-file", file, "--wait"); code != 0 || !strings.Contains(said, "mt2 goes on with 0 requests of mt1") || !machine.Fenced() {
		t.Errorf("exit %d, fenced %v: %s", code, machine.Fenced(), said)
	}
	if r, _ := b.hear(); r.Result == nil {
		t.Errorf("the client was told %+v", r)
	}
	// Who asks again is told the same; a front end that is not there keeps nobody.
	if code, said := rescued("", "--fenced", "cpus", "--front", nowhere); code != 0 || !strings.Contains(said, "a front end is not told") {
		t.Errorf("exit %d: %s", code, said)
	}
}
