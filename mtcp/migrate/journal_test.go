// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"lazystate/mtcp/party"
)

// Old notes are forgotten; what is kept for as long as the machine runs is not, nor is
// the socket of a holder that has been there for as long.
func TestPrune(t *testing.T) {
	j := journal(t.TempDir())
	l, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: j.path("escrow"), Net: "unixpacket"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	old, young := ID{1}, ID{2}
	if err := j.note(old); err != nil {
		t.Fatal(err)
	}
	if _, err := j.key(); err != nil {
		t.Fatal(err)
	}
	doubt, over, draft := ID{3}, ID{4}, ID{5}
	if err := errors.Join(j.part(doubt, &parting{Peer: "s2"}), j.part(over, &parting{Outcome: itLeft}), j.draft(draft, &parting{})); err != nil {
		t.Fatal(err)
	}
	all, err := filepath.Glob(j.path("*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range all {
		before := time.Now().Add(-2 * time.Hour)
		if err := os.Chtimes(path, before, before); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.note(young); err != nil {
		t.Fatal(err)
	}
	if err := j.prune(time.Hour); err != nil {
		t.Fatal(err)
	}
	if j.noted(old) || !j.noted(young) {
		t.Errorf("the old note is there: %t, the young one: %t", j.noted(old), j.noted(young))
	}
	for _, name := range []string{"escrow", keyName} {
		if _, err := os.Stat(j.path(name)); err != nil {
			t.Error(err)
		}
	}
	// What may live elsewhere would be let go on here, too.
	if left, err := j.partings(); err != nil || len(left) != 1 || left[doubt] == nil {
		t.Errorf("%v is left of what was given away, %v", left, err)
	}
	if _, err := os.Stat(j.path(partingName(draft) + drafted)); err == nil {
		t.Error("an old draft is kept")
	}
}

// What has been in doubt for as long as another server remembers does not go on here,
// whatever that one says; the rest is asked for.
func TestDoubtThatIsTooOld(t *testing.T) {
	m := lone(t)
	m.resumed = map[string]*resumedMove{}
	old, young := ID{1}, ID{2}
	for id, session := range map[ID]string{old: "aa", young: "bb"} {
		if err := m.journal.part(id, &parting{Peer: "s2", Lead: party.BySource, Sessions: []string{session}}); err != nil {
			t.Fatal(err)
		}
	}
	before := time.Now().Add(-noteAge)
	if err := os.Chtimes(m.journal.path(partingName(old)), before, before); err != nil {
		t.Fatal(err)
	}
	if err := m.recall(); err != nil {
		t.Fatal(err)
	}
	if len(m.doubtful) != 1 || m.doubtful[0].id != young {
		t.Errorf("in doubt: %v", m.doubtful)
	}
	for session, outcome := range map[string]string{"aa": itLeft, "bb": ""} {
		if r := m.resumed[session]; r == nil || r.note.Outcome != outcome {
			t.Errorf("session %s: %+v", session, r)
		}
	}
	// The daemon after this one knows as well.
	again, err := m.journal.partings()
	if err != nil || len(again) != 2 || again[old].Outcome != itLeft || again[young].Outcome != "" {
		t.Errorf("%v, %v", again, err)
	}
}
