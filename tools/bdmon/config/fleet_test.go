// SPDX-License-Identifier: Apache-2.0

package config

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lazystate/sensorbox/fleet"
)

const (
	keyA = "k/ozbH3lUgnR+SNjjSgBv4pNa4aWU6A7x8y/CFqQLOo="
	keyB = "I14b2g+43Xouhj6k4zsiAyyWbJeJUsRVC3Dyw6Cp2kw="

	mates = `[{name: a, address: "10.0.0.1:1", key: ` + keyA + `}, {name: b, address: "10.0.0.2:1", key: ` + keyB + `, target: t1, weight: 2}]`
)

func TestFleet(t *testing.T) {
	c, err := Parse([]byte(`
fleet: {name: a, identity: /id, lease: 2s, failback: true, settle: 1m, monitors: ` + mates + `}
targets:
  - {name: t1, url: 'lab:t1', key_file: k, slot: 3, order: [b, a], probe: {interface: eth1, address: "10.0.0.9:22"}}
  - {name: t2, url: 'lab:t2', key_file: k}
  - {name: t3, url: 'lab:t3'}
`))
	if err != nil {
		t.Fatal(err)
	}
	if c.Fleet.Listen != "10.0.0.1:1" || c.Targets[0].Probe.Address != "10.0.0.9:22" {
		t.Errorf("%+v", c.Fleet)
	}
	want := fleet.Config{
		Self: "a", Monitors: []string{"a", "b"}, Lease: 2 * time.Second, Failback: true, Settle: time.Minute, Weight: 1,
		Targets: []fleet.Target{{Name: "t1", Order: []string{"b", "a"}, Slot: 3}, {Name: "t2"}},
	}
	if d := cmp.Diff(want, c.Member("host")); d != "" {
		t.Errorf("member (want -, got +):\n%s", d)
	}
	c.DryRun = true
	if m := c.Member("host"); len(m.Targets) != 0 {
		t.Errorf("a dry run owns %+v", m.Targets)
	}
}

func TestFleetOfOne(t *testing.T) {
	c, err := Parse([]byte("targets: [{name: t1, url: 'lab:t1', key_file: k}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	m := c.Member("host")
	if m.Self != "host" || len(m.Monitors) != 0 || m.Told || len(m.Targets) != 1 || m.Check() != nil {
		t.Errorf("%+v", m)
	}
}

func TestBalance(t *testing.T) {
	var targets strings.Builder
	for _, n := range strings.Split("abcdefghijklmnopqrst", "") {
		targets.WriteString("  - {name: " + n + ", url: 'lab:" + n + "', key_file: k}\n")
	}
	c, err := Parse([]byte("fleet: {name: a, identity: /id, balance: true, monitors: " + strings.Replace(mates, "target: t1, ", "", 1) + "}\ntargets:\n" + targets.String()))
	if err != nil {
		t.Fatal(err)
	}
	first := map[string]int{}
	for _, target := range c.Member("").Targets {
		first[target.Order[0]]++
	}
	if first["a"] == 0 || first["b"] <= first["a"] {
		t.Errorf("first of the order: %v; b weighs 2", first)
	}
}

func TestEtcd(t *testing.T) {
	c, err := Parse([]byte(`
fleet: {name: a, monitors: [{name: a, weight: 3}], etcd: {endpoints: ["http://127.0.0.1:2379", "https://e2:2379"], cert: c, cert_key: k}}
targets: [{name: t1, url: 'lab:t1', key_file: k, order: [z, a]}]
`))
	if err != nil {
		t.Fatal(err)
	}
	m := c.Member("")
	if !m.Told || m.Weight != 3 || len(m.Monitors) != 0 || c.Fleet.Etcd.Prefix != "/lazystate/" || !slices.Equal(m.Targets[0].Order, []string{"z", "a"}) {
		t.Errorf("%+v, %+v", m, c.Fleet.Etcd)
	}
}

// Mistakes have line and column.
func TestFleetMistakes(t *testing.T) {
	in := func(fleet string) string { return "fleet: {" + fleet + "}\ntargets: [{name: t1, url: 'lab:t1'}]\n" }
	static := func(more string) string { return in("name: a, identity: /id, monitors: " + mates + more) }
	etcd := func(more string) string { return in("name: a, etcd: {" + more + "}") }
	for name, c := range map[string]struct{ file, want string }{
		"no name":         {in("lease: 1s"), `fleet.name: ""`},
		"hostile name":    {in(`name: "a\u0007"`), `[1:15] fleet.name: "a\a"`},
		"long name":       {in("name: " + strings.Repeat("n", 41)), "1 to 40 printable"},
		"typo":            {static(", leese: 1s"), "unknown field \"leese\""},
		"short lease":     {static(", lease: 10ms"), "fleet.lease: 10ms: at least 500ms"},
		"not among them":  {in("name: z, identity: /id, monitors: " + mates), "fleet.monitors: this monitor, z, is not among them"},
		"no identity":     {in("name: a, monitors: " + mates), "need an identity"},
		"no key":          {in(`name: a, identity: /id, monitors: [{name: a, address: "1.2.3.4:1"}]`), "[1:44] fleet.monitors[0].key: public key \"\""},
		"bad address":     {in("name: a, identity: /id, monitors: [{name: a, address: nowhere, key: " + keyA + "}]"), "fleet.monitors[0].address: address nowhere"},
		"name twice":      {in("name: a, identity: /id, monitors: " + strings.ReplaceAll(mates, "name: b", "name: a")), "fleet.monitors[1].name: \"a\" is used twice"},
		"key twice":       {in("name: a, identity: /id, monitors: " + strings.ReplaceAll(mates, keyB, keyA)), "fleet.monitors[1].key: another monitor has this key"},
		"unknown target":  {in("name: a, identity: /id, monitors: " + strings.ReplaceAll(mates, "t1", "t9")), "fleet.monitors[1].target: no target \"t9\""},
		"weight":          {in("name: a, identity: /id, monitors: " + strings.ReplaceAll(mates, "weight: 2", "weight: .nan")), "fleet.monitors[1].weight: NaN"},
		"bad listen":      {static(", listen: x"), "fleet.listen: address x"},
		"no endpoints":    {etcd(""), "fleet.etcd: no endpoints"},
		"etcd in clear":   {etcd(`endpoints: ["http://10.0.0.1:2379"]`), `fleet.etcd.endpoints[0]: "http://10.0.0.1:2379": want https`},
		"etcd and nobody": {etcd(`endpoints: ["https://e1:2379"]`), "want a cert or a user"},
		"no port":         {etcd(`endpoints: ["https://e1"], user: u, password_file: p`), "want https://host:port"},
		"half a cert":     {etcd(`endpoints: ["https://e1:1"], cert: c`), "cert and cert_key belong together"},
		"half a user":     {etcd(`endpoints: ["https://e1:1"], user: u`), "user and password_file belong together"},
		"prefix":          {etcd(`endpoints: ["https://e1:1"], user: u, password_file: p, prefix: x`), "fleet.etcd.prefix"},
		"etcd and peers":  {in("name: a, monitors: " + mates + `, etcd: {endpoints: ["http://[::1]:2379"]}`), "fleet.monitors[0]: monitors that meet in etcd"},
		"etcd and id":     {in(`name: a, identity: /id, etcd: {endpoints: ["http://[::1]:2379"]}`), "have no identity"},
		"etcd's lease":    {in(`name: a, lease: 1s, etcd: {endpoints: ["http://localhost:2379"]}`), "fleet.lease: 1s: at least 3s"},
		"etcd balance":    {in(`name: a, balance: true, etcd: {endpoints: ["http://localhost:2379"]}`), "always spread"},
		"order, no fleet": {"targets: [{name: t1, url: 'lab:t1', order: [a]}]\n", "targets[0].order: there is no fleet"},
		"order, unknown":  {strings.Replace(static(""), "'lab:t1'", "'lab:t1', order: [a, z]", 1), "targets[0].order[1]: no monitor \"z\""},
		"order, twice":    {strings.Replace(static(""), "'lab:t1'", "'lab:t1', order: [a, a]", 1), "targets[0].order[1]: \"a\" is there twice"},
		"empty probe":     {"targets: [{name: t1, url: 'lab:t1', probe: {}}]\n", "targets[0].probe: want an interface"},
		"probe's address": {"targets: [{name: t1, url: 'lab:t1', probe: {address: x}}]\n", "[1:54] targets[0].probe.address: address x"},
	} {
		_, err := Parse([]byte(c.file))
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "[") {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}
