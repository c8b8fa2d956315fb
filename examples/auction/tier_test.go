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
	of := func(tier *tier, i int) string { return nodeOf(tier, fmt.Sprintf("%032x", i)) }
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
	tier.add(toA, "a", "one")
	tier.add(toB, "b", "two")
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
	tier.add(late, "a", "three")
	if _, err := late.Write([]byte{1}); err == nil {
		t.Error("one that was on its way when it was said is open")
	}
}

// Sessions whose records another one has already are asked of that one, and stay with it;
// the others wait until they are told, and so does the next process.
func TestReplaceForSome(t *testing.T) {
	notes := filepath.Join(t.TempDir(), "notes")
	one := tierOf(t, "a=1,b=2,c=3", notes)
	var ofA []string
	for i := 0; len(ofA) < 3; i++ {
		if s := fmt.Sprintf("%032x", i); nodeOf(one, s) == "a" {
			ofA = append(ofA, s)
		}
	}
	moves, waits := ofA[0], ofA[1]
	toA, a := net.Pipe()
	stays, still := net.Pipe()
	defer a.Close()
	defer still.Close()
	one.add(toA, "a", moves)
	one.add(stays, "a", waits)
	_, changed := one.of(moves)
	if err := one.replace("a", "b", moves, ofA[2]); err != nil {
		t.Fatal(err)
	}
	select {
	case <-changed:
	default:
		t.Error("who dials is not told")
	}
	if _, err := toA.Write([]byte{1}); err == nil {
		t.Error("a connection of a session that moves is open")
	}
	go func() { _, _ = still.Read(make([]byte, 1)) }()
	if _, err := stays.Write([]byte{1}); err != nil {
		t.Errorf("one of a session that waits: %v", err)
	}
	check := func(moved, waiting string) {
		t.Helper()
		for _, of := range []*tier{one, tierOf(t, "a=1,b=2,c=3", notes)} {
			if nodeOf(of, moves) != moved || nodeOf(of, ofA[2]) != moved || nodeOf(of, waits) != waiting {
				t.Errorf("what moves goes to %s and %s, what waits to %s", nodeOf(of, moves), nodeOf(of, ofA[2]), nodeOf(of, waits))
			}
		}
	}
	check("b", "a")
	if err := one.replace("a", "c"); err != nil {
		t.Fatal(err)
	}
	check("b", "c")
	if err := one.replace("b", "c"); err != nil || nodeOf(one, moves) != "c" {
		t.Errorf("and when that is dead: %s, %v", nodeOf(one, moves), err)
	}
}

// A front end that cannot note for the next process what it was told acts upon it all the
// same, and says so.
func TestReplaceWithoutNotes(t *testing.T) {
	one := tierOf(t, "a=1,b=2", filepath.Join(t.TempDir(), "none", "notes"))
	_, changed := one.of("")
	if err := one.replace("a", "b"); err == nil {
		t.Error("it says that it has noted it")
	}
	select {
	case <-changed:
	default:
		t.Error("who dials is not told")
	}
	if nodeOf(one, "") != "b" {
		t.Error("the dead one is asked")
	}
}

func nodeOf(t *tier, session string) string {
	n, _ := t.of(session)
	return n.name
}

func TestNodesOf(t *testing.T) {
	for _, bad := range []string{"", "a", "=1", "a=1,a=2", "a=1,,b=2"} {
		if _, err := nodesOf(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}
