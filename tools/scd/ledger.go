// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"lazystate/backdoor"
	"lazystate/mtcp/cbox"
)

// ledger notes in the journal which session of a dead machine is being made to live:
// the next daemon knows of what the last one died. A line is "begin ID" or "end ID";
// the first one names the machine's boot. Each is one write, which a kill does not
// tear; who damages the file damages nothing else, for a word that is not understood
// is no death.
type ledger struct {
	file  *os.File
	begun map[cbox.ID]int // more often than they have ended
}

const mostLedger = 8 << 20 // bytes that are believed

// openLedger reads that of a machine's boot; another boot's is over.
func openLedger(journal, machine string, boot backdoor.BootID) (*ledger, error) {
	folder := filepath.Join(journal, "salvage") // the journal's own notes are files
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("ledger of salvages: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(folder, url.PathEscape(machine)), os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("ledger of salvages: %w", err)
	}
	l := &ledger{f, map[cbox.ID]int{}}
	ours, err := l.read(boot)
	if err == nil && !ours {
		if err = f.Truncate(0); err == nil {
			err = l.say("boot", boot.String())
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("ledger of salvages: %w", err), f.Close())
	}
	return l, nil
}

// read reports whether it is of this boot.
func (l *ledger) read(boot backdoor.BootID) (ours bool, err error) {
	lines := bufio.NewScanner(io.LimitReader(l.file, mostLedger))
	if !lines.Scan() || lines.Text() != "boot "+boot.String() {
		return false, lines.Err()
	}
	for lines.Scan() {
		word, text, _ := strings.Cut(lines.Text(), " ")
		var id cbox.ID
		if n, err := hex.Decode(id[:], []byte(text[:min(len(text), 2*len(id))])); err != nil || n != len(id) || len(text) != 2*n {
			continue
		}
		switch word {
		case "begin":
			l.begun[id]++
		case "end":
			l.begun[id] = 0
		}
	}
	if err := lines.Err(); !errors.Is(err, bufio.ErrTooLong) {
		return true, err
	}
	return true, nil
}

func (l *ledger) say(word, what string) error {
	_, err := l.file.WriteString(word + " " + what + "\n")
	return err
}

// Deaths implements salvage.Ledger.
func (l *ledger) Deaths(id cbox.ID) int { return l.begun[id] }

// Begin implements salvage.Ledger.
func (l *ledger) Begin(id cbox.ID) error {
	err := l.say("begin", hex.EncodeToString(id[:]))
	if point != nil {
		point("salvage " + hex.EncodeToString(id[:]))
	}
	return err
}

// End implements salvage.Ledger.
func (l *ledger) End(id cbox.ID) error { return l.say("end", hex.EncodeToString(id[:])) }

func (l *ledger) close() error { return l.file.Close() }
