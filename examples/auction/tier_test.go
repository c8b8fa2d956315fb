// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net"
	"path/filepath"
	"testing"
)

func tierOf(t *testing.T, nodes, notes string) *tier {
	t.Helper()
	all, err := nodesOf(nodes)
	if err != nil {
		t.Fatal(err)
	}
	tier, err := newTier(all, notes)
	if err != nil {
		t.Fatal(err)
	}
	return tier
}

// All front ends send a session to the same middle tier, and about as many to each;
// those of a dead one go to whom the monitor named, also by the next process.
func TestTier(t *testing.T) {
	notes := filepath.Join(t.TempDir(), "notes")
	fe1, fe2 := tierOf(t, "a=1,b=2,c=3", notes), tierOf(t, "a=1,b=2,c=3", "")
	of := func(tier *tier, i int) string {
		n, _ := tier.of(fmt.Sprintf("%032x", i))
		return n.name
	}
	count := map[string]int{}
	for i := range 300 {
		count[of(fe1, i)]++
		if of(fe1, i) != of(fe2, i) {
			t.Fatalf("session %d goes to %s and to %s", i, of(fe1, i), of(fe2, i))
		}
	}
	for _, name := range []string{"a", "b", "c"} {
		if count[name] < 50 {
			t.Errorf("%d of 300 sessions go to %s", count[name], name)
		}
	}
	_, changed := fe1.of("")
	for _, d := range [][2]string{{"a", "b"}, {"b", "c"}} {
		if err := fe1.replace(d[0], d[1]); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case <-changed:
	default:
		t.Error("who dials is not told")
	}
	next := tierOf(t, "a=1,b=2,c=3", notes)
	for i := range 300 {
		if of(fe1, i) != "c" || of(next, i) != "c" {
			t.Fatalf("session %d goes to %s, and %s", i, of(fe1, i), of(next, i))
		}
	}
	for _, d := range [][2]string{{"a", "a"}, {"a", "x"}, {"x", "a"}} {
		if fe1.replace(d[0], d[1]) == nil {
			t.Errorf("%s in the place of %s", d[1], d[0])
		}
	}
}

// What is under way to a dead middle tier is over, and no other's.
func TestReplaceHangsUp(t *testing.T) {
	tier := tierOf(t, "a=1,b=2", "")
	toA, a := net.Pipe()
	toB, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	tier.add(toA, "a")
	tier.add(toB, "b")
	if err := tier.replace("a", "b"); err != nil {
		t.Fatal(err)
	}
	if _, err := toA.Write([]byte{1}); err == nil {
		t.Error("a connection to a dead one is open")
	}
	go func() { _, _ = b.Read(make([]byte, 1)) }()
	if _, err := toB.Write([]byte{1}); err != nil {
		t.Errorf("a connection to another: %v", err)
	}
	late, l := net.Pipe()
	defer l.Close()
	tier.add(late, "a")
	if _, err := late.Write([]byte{1}); err == nil {
		t.Error("one that was on its way when it was said is open")
	}
}

func TestNodesOf(t *testing.T) {
	for _, bad := range []string{"", "a", "=1", "a=1,a=2", "a=1,,b=2"} {
		if _, err := nodesOf(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}
