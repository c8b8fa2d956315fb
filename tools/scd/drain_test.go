// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"strings"
	"testing"

	"lazystate/mtcp/migrate"
	"lazystate/mtcp/wire"
)

// A drain by takeover says what it leaves, and is not content with that: an address of which
// no service has a device stays, with its sessions, while the others go.
func TestDrainSaysWhatStays(t *testing.T) {
	w := newWorld(t, false)
	s1, s2 := w.sites["s1"], w.sites["s2"]
	goes := w.idle()
	w.addr = own(0, false).Addr()
	stays := w.idle()
	s1.await("both", func() bool { return len(s1.ls()) == 2 })
	out, err := s1.ask("drain", "--to", "s2")
	if err == nil || !strings.Contains(err.Error(), "exit 1") || !strings.Contains(err.Error(), "10.9.0.1 stays with 1 session(s)") {
		t.Errorf("the drain: %v", err)
	}
	if !strings.Contains(out, `{"address":"10.9.0.1","to":"s2","sessions":0,"bytes":0,"frozen_us":0,"by":"takeover","stayed":1}`) {
		t.Errorf("it says %s", out)
	}
	if here, there := len(s1.ls()), len(s2.ls()); here != 1 || there != 1 {
		t.Errorf("%d are here, %d there", here, there)
	}
	goes()
	stays()
}

// S2 is not there when a server is drained, and comes a little later: a session whose client
// could not move at first is not left behind.
func TestDrainTriesAgain(t *testing.T) {
	w := newWorld(t, false)
	a := w.agent("--patience", "1s")
	s1, s2 := w.sites["s1"], w.sites["s2"]
	w.addr = own(0, false).Addr()
	finish := w.idle()
	a.flow()
	s2.scd.kill()
	drained := make(chan error, 1)
	go func() { drained <- s1.ctl("drain", "--to", "s2", "--by", "client") }()
	s1.await("a refusal", func() bool { return strings.Contains(a.log.String(), "advice could not be followed") })
	s2.startSCD()
	if err := <-drained; err != nil {
		t.Error(err)
	}
	finish()
	s2.await("the end", s2.served)
}

// A client that could not is asked again, one that would not is not.
func TestWhatPasses(t *testing.T) {
	for err, want := range map[error]bool{
		nil: false, migrate.ErrNoAgent: false, errors.New("other"): false,
		&migrate.RefusedError{Reason: wire.ReasonState}:  true,
		&migrate.RefusedError{Reason: wire.ReasonPolicy}: false,
	} {
		if passes(err) != want {
			t.Errorf("%v: %t", err, !want)
		}
	}
}
