// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"lazystate/backdoor"
	"lazystate/mtcp/cbox"
	"lazystate/mtcp/migrate"
)

// ledger notes in the journal which session of a dead machine, or of a former daemon's
// escrow, is being made to live: the next daemon knows of what the last one died. A line is "begin ID" or "end ID";
// the first one names the machine's boot. Each is one write, which a kill does not
// tear; who damages the file damages nothing else, for a word that is not understood
// is no death.
type ledger struct {
	*asides
	file  *os.File
	begun map[cbox.ID]int // more often than they have ended
}

// asides are the sessions that are set aside, of whatever machine: a line is "aside ID
// WHY". They are few, and no other session ever has such an ID.
type asides struct {
	mu   sync.Mutex
	file *os.File
	why  map[cbox.ID]string
}

const (
	mostLedger = 8 << 20 // bytes that are believed
	mostWhy    = 200
	asidesName = " asides" // no machine's, which are escaped

	revivedName = " revived"
)

// openNotes opens a file of the journal's folder for what is salvaged.
func openNotes(journal, name string) (*os.File, error) {
	folder := filepath.Join(journal, "salvage") // the journal's own notes are files
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("ledger of salvages: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(folder, name), os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("ledger of salvages: %w", err)
	}
	return f, nil
}

// eachNote calls f with the lines that are about a session.
func eachNote(lines *bufio.Scanner, f func(word string, id cbox.ID, rest string)) error {
	for lines.Scan() {
		word, text, _ := strings.Cut(lines.Text(), " ")
		text, rest, _ := strings.Cut(text, " ")
		var id cbox.ID
		if len(text) != 2*len(id) {
			continue
		}
		if _, err := hex.Decode(id[:], []byte(text)); err == nil {
			f(word, id, rest)
		}
	}
	if err := lines.Err(); !errors.Is(err, bufio.ErrTooLong) {
		return err
	}
	return nil
}

func say(f *os.File, words ...string) error {
	_, err := f.WriteString(strings.Join(words, " ") + "\n")
	return err
}

func openAsides(journal string) (*asides, error) {
	f, err := openNotes(journal, asidesName)
	if err != nil {
		return nil, err
	}
	a := &asides{file: f, why: map[cbox.ID]string{}}
	err = eachNote(bufio.NewScanner(io.LimitReader(f, mostLedger)), func(word string, id cbox.ID, rest string) {
		if word == "aside" {
			a.why[id] = strings.ToValidUTF8(rest[:min(len(rest), mostWhy)], "") + " (noted before)"
		}
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("sessions that are set aside: %w", err), f.Close())
	}
	return a, nil
}

// Aside implements landing.Ledger.
func (a *asides) Aside(id cbox.ID) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.why[id]
}

// SetAside implements landing.Ledger.
func (a *asides) SetAside(id cbox.ID, why string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.why[id] != "" {
		return nil
	}
	a.why[id] = why
	return say(a.file, "aside", hex.EncodeToString(id[:]), why)
}

func (a *asides) close() error {
	if a == nil {
		return nil
	}
	return a.file.Close()
}

// openLedger reads that of a machine's boot; another boot's is over, and so is one in
// which everything has ended.
func openLedger(journal, name string, boot backdoor.BootID, a *asides) (*ledger, error) {
	f, err := openNotes(journal, name)
	if err != nil {
		return nil, err
	}
	l := &ledger{a, f, map[cbox.ID]int{}}
	ours, err := l.read(boot)
	if err == nil && !(ours && l.open()) {
		if err = f.Truncate(0); err == nil {
			err = say(f, "boot", boot.String())
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("ledger of salvages: %w", err), f.Close())
	}
	return l, nil
}

// openRevived opens the ledger of what former daemons have left in escrow. Sessions are
// named for good, so it is of no boot. A daemon without one goes on.
func (d *state) openRevived(mc *migrate.Config) {
	var err error
	if d.asides == nil {
		d.asides, err = openAsides(d.cfg.Journal)
	}
	if err == nil {
		d.revived, err = openLedger(d.cfg.Journal, revivedName, backdoor.BootID{}, d.asides)
	}
	if err != nil {
		d.log.Warn("should this daemon die of a session that a former one has left, the next one will not know", "err", err)
		return
	}
	mc.Ledger = d.revived
}

// read reports whether it is of this boot.
func (l *ledger) read(boot backdoor.BootID) (ours bool, err error) {
	lines := bufio.NewScanner(io.LimitReader(l.file, mostLedger))
	if !lines.Scan() || lines.Text() != "boot "+boot.String() {
		if err := lines.Err(); !errors.Is(err, bufio.ErrTooLong) {
			return false, err
		}
		return false, nil
	}
	return true, eachNote(lines, func(word string, id cbox.ID, _ string) {
		switch word {
		case "begin":
			l.begun[id]++
		case "end":
			l.begun[id] = 0
		}
	})
}

// open reports whether anything has not ended.
func (l *ledger) open() bool {
	for _, n := range l.begun {
		if n > 0 {
			return true
		}
	}
	return false
}

// Deaths implements landing.Ledger.
func (l *ledger) Deaths(id cbox.ID) int { return l.begun[id] }

// Begin implements landing.Ledger.
func (l *ledger) Begin(id cbox.ID) error {
	err := say(l.file, "begin", hex.EncodeToString(id[:]))
	if point != nil {
		point("salvage " + hex.EncodeToString(id[:]))
	}
	return err
}

// End implements landing.Ledger.
func (l *ledger) End(id cbox.ID) error { return say(l.file, "end", hex.EncodeToString(id[:])) }

func (l *ledger) close() error {
	if l == nil {
		return nil
	}
	return l.file.Close()
}
