// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"lazystate/repair/policy"
)

// incident is what bdmon's audit log tells of one.
type incident struct {
	id, healer, result, why, err string

	began, diagnosed, repaired, ended time.Time

	attempts, killed, rounds int
	frozen, walk             time.Duration
	reads, batches           uint64
	users                    []uint32
}

// record is a line of the audit log; the fields of all steps that are read here.
type record struct {
	Time     time.Time       `json:"time"`
	Target   string          `json:"target"`
	Incident string          `json:"incident"`
	Healer   string          `json:"healer"`
	Step     string          `json:"step"`
	Data     json.RawMessage `json:"data"`
	Error    string          `json:"error"`
}

type planData struct {
	Culprits int              `json:"culprits"`
	Findings []policy.Finding `json:"findings"`
	Nothing  string           `json:"nothing"`
	Walk     time.Duration    `json:"walk_ns"`
	Reads    uint64           `json:"reads"`
	Batches  uint64           `json:"batches"`
}

type endData struct {
	Result   string        `json:"result"`
	Attempts int           `json:"attempts"`
	Killed   int           `json:"killed"`
	Frozen   time.Duration `json:"frozen_ns"`
}

// take adds one line to the incident's story.
func (in *incident) take(r record) error {
	switch r.Step {
	case "event":
		in.began, in.healer = r.Time, r.Healer
	case "plan":
		var p planData
		if err := json.Unmarshal(r.Data, &p); err != nil {
			return err
		}
		in.why = p.Nothing
		if p.Culprits == 0 || len(p.Findings) == 0 {
			return nil
		}
		if in.diagnosed.IsZero() {
			in.diagnosed = r.Time
		}
		in.walk, in.reads, in.batches = p.Walk, p.Reads, p.Batches
		in.users = append(in.users, p.Findings[0].UID)
	case "thaw":
		in.repaired, in.rounds = r.Time, in.rounds+1
	case "verify":
		var v struct {
			Why string `json:"why"`
		}
		if err := json.Unmarshal(r.Data, &v); err != nil {
			return err
		}
		in.why = v.Why
	case "abort", "freeze failed":
		in.why = r.Error
	case "end":
		var e endData
		if err := json.Unmarshal(r.Data, &e); err != nil {
			return err
		}
		in.ended, in.result, in.attempts, in.killed, in.frozen, in.err = r.Time, e.Result, e.Attempts, e.Killed, e.Frozen, r.Error
	}
	return nil
}

// ledger follows an audit log from where it ended when the drill began.
type ledger struct {
	path   string
	target string
	offset int64
	all    []*incident
	kills  int // decisions to kill, also of incidents that have not ended
}

// newLedger begins at the end of the log as it is now; it may not exist yet.
func newLedger(path, target string) (*ledger, error) {
	st, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return &ledger{path: path, target: target}, nil
	case err != nil:
		return nil, err
	}
	return &ledger{path: path, target: target, offset: st.Size()}, nil
}

// read takes the lines that are whole by now.
func (l *ledger) read() error {
	f, err := os.Open(l.path)
	if err != nil {
		return err
	}
	defer f.Close()
	b, err := io.ReadAll(io.NewSectionReader(f, l.offset, 1<<30))
	if err != nil {
		return fmt.Errorf("read audit log: %w", err)
	}
	whole := b[:bytes.LastIndexByte(b, '\n')+1]
	l.offset += int64(len(whole))
	for line := range bytes.Lines(whole) {
		var r record
		if err := json.Unmarshal(line, &r); err != nil {
			return fmt.Errorf("audit log: %w: %q", err, line)
		}
		if r.Target != l.target || r.Incident == "" {
			continue
		}
		if r.Step == "kill" {
			l.kills++
		}
		if err := l.of(r.Incident).take(r); err != nil {
			return fmt.Errorf("audit log: %s: %w", r.Step, err)
		}
	}
	return nil
}

func (l *ledger) of(id string) *incident {
	if i := slices.IndexFunc(l.all, func(in *incident) bool { return in.id == id }); i >= 0 {
		return l.all[i]
	}
	in := &incident{id: id}
	l.all = append(l.all, in)
	return in
}

// ended are the incidents that have come to their end, in their order.
func (l *ledger) ended() []incident {
	var all []incident
	for _, in := range l.all {
		if !in.ended.IsZero() {
			all = append(all, *in)
		}
	}
	return all
}

// reason is why an incident ended as it did, in brackets.
func (in *incident) reason() string {
	for _, s := range []string{in.err, in.why} {
		if s != "" {
			return "(" + s + ")"
		}
	}
	return ""
}
