// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"lazystate/backdoor"
	"lazystate/mtcp/cbox"
)

func ledgerOf(t *testing.T, journal string, boot backdoor.BootID) *ledger {
	t.Helper()
	a, err := openAsides(journal)
	if err != nil {
		t.Fatal(err)
	}
	l, err := openLedger(journal, "a%2Fb", boot, a)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.close(); a.close() })
	return l
}

// What a daemon has died of the next ones know, until the machine has booted anew.
func TestLedger(t *testing.T) {
	journal, boot, id, other := t.TempDir(), backdoor.BootID{1}, cbox.ID{1, 2}, cbox.ID{3}
	say := func(what func(cbox.ID) error, id cbox.ID) {
		t.Helper()
		if err := what(id); err != nil {
			t.Fatal(err)
		}
	}
	for deaths := range 3 {
		l := ledgerOf(t, journal, boot)
		if l.Deaths(id) != deaths || l.Deaths(other) != 0 {
			t.Errorf("%d deaths, and %d of the other, want %d and 0", l.Deaths(id), l.Deaths(other), deaths)
		}
		say(l.Begin, other)
		say(l.End, other)
		say(l.Begin, id) // and it dies
	}
	say(ledgerOf(t, journal, boot).End, id)
	if n := ledgerOf(t, journal, boot).Deaths(id); n != 0 {
		t.Errorf("%d deaths of a session that lives", n)
	}
	say(ledgerOf(t, journal, boot).Begin, id)
	if err := ledgerOf(t, journal, boot).SetAside(other, "it has killed two"); err != nil {
		t.Fatal(err)
	}
	l := ledgerOf(t, journal, backdoor.BootID{2})
	if n := l.Deaths(id); n != 0 {
		t.Errorf("%d deaths of another boot", n)
	}
	if why := l.Aside(other); !strings.Contains(why, "it has killed two") || l.Aside(id) != "" {
		t.Errorf("set aside: %q, and the other %q", why, l.Aside(id))
	}
}

// FuzzLedger: whatever is in the file, a daemon begins, and knows what it notes.
func FuzzLedger(f *testing.F) {
	boot, id := backdoor.BootID{1}, cbox.ID{9}
	begun := "begin " + hex.EncodeToString(id[:]) + "\n"
	for _, text := range []string{"", "boot " + boot.String() + "\n" + begun + begun, "boot " + boot.String(), "boot 00\n" + begun, "aside " + hex.EncodeToString(id[:]) + "\naside " + hex.EncodeToString(id[:]) + " \xff why\n",
		"boot " + boot.String() + "\nbegin\nbegin zz\nend " + strings.Repeat("0", 33) + "\n\x00" + strings.Repeat("x", 1<<17) + "\n" + begun} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		journal := t.TempDir()
		path := filepath.Join(journal, "salvage")
		if err := errors.Join(os.MkdirAll(path, 0o700), os.WriteFile(filepath.Join(path, "a%2Fb"), text, 0o600), os.WriteFile(filepath.Join(path, asidesName), text, 0o600)); err != nil {
			t.Fatal(err)
		}
		l := ledgerOf(t, journal, boot)
		if l.Deaths(id) < 0 || l.Deaths(id) > len(text)/len(begun) {
			t.Errorf("%d deaths in %d bytes", l.Deaths(id), len(text))
		}
		if err := errors.Join(l.End(id), l.SetAside(id, "why")); err != nil {
			t.Fatal(err)
		}
		if l.Aside(id) == "" {
			t.Error("it is not set aside")
		}
	})
}

// §3.6.3: a session of which scd dies when it makes it live is tried once more, after
// the others, and then set aside; the others go on, and its client is told.
func TestSalvageKillsTheDaemon(t *testing.T) {
	w := newDeadly(t, nil)
	s2 := w.s2
	finish, bad := w.idle(), w.dial()
	if _, err := bad.Write([]byte("GET /100000 HTT")); err != nil {
		t.Fatal(err)
	}
	w.s1.await("both", func() bool { return len(w.k.Sessions()) == 2 })
	step := ""
	for _, s := range w.k.Sessions() {
		if s.Remote.String() == bad.LocalAddr().String() {
			step = "salvage " + hex.EncodeToString(s.ID[:])
		}
	}
	w.fence(w.dies(2))
	for range 2 {
		s2.scd.kill()
		s2.startSCD("SCD_KILL=" + step)
		if all, err := s2.salvaged("s1"); err == nil {
			t.Errorf("the daemon lives: %v", all)
		}
		s2.scd.died(t)
	}
	s2.startSCD("SCD_KILL=" + step)
	out, err := s2.ask("salvage", "s1")
	if err == nil || strings.Count(out, "set aside") != 1 {
		t.Errorf("%v: %s", err, out)
	}
	if _, err := bad.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the client of the session that is set aside: %v", err)
	}
	finish()
}
