// SPDX-License-Identifier: Apache-2.0

package daemon

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

// Incident is what bdmon's audit log tells of one.
type Incident struct {
	ID, Healer, Result, Why, Err string

	Began, Diagnosed, Repaired, Ended time.Time

	Attempts, Killed, Rounds int
	Frozen, Walk             time.Duration
	Reads, Batches           uint64
	Users                    []uint32
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
func (in *Incident) take(r record) error {
	switch r.Step {
	case "event":
		in.Began, in.Healer = r.Time, r.Healer
	case "plan":
		var p planData
		if err := json.Unmarshal(r.Data, &p); err != nil {
			return err
		}
		in.Why = p.Nothing
		if p.Culprits == 0 || len(p.Findings) == 0 {
			return nil
		}
		if in.Diagnosed.IsZero() {
			in.Diagnosed = r.Time
		}
		in.Walk, in.Reads, in.Batches = p.Walk, p.Reads, p.Batches
		in.Users = append(in.Users, p.Findings[0].UID)
	case "thaw":
		in.Repaired, in.Rounds = r.Time, in.Rounds+1
	case "verify":
		var v struct {
			Why string `json:"why"`
		}
		if err := json.Unmarshal(r.Data, &v); err != nil {
			return err
		}
		in.Why = v.Why
	case "abort", "freeze failed":
		in.Why = r.Error
	case "end":
		var e endData
		if err := json.Unmarshal(r.Data, &e); err != nil {
			return err
		}
		in.Ended, in.Result, in.Attempts, in.Killed, in.Frozen, in.Err = r.Time, e.Result, e.Attempts, e.Killed, e.Frozen, r.Error
	}
	return nil
}

// Ledger follows an audit log from where it ended when it was made.
type Ledger struct {
	path   string
	target string
	offset int64
	all    []*Incident
	Kills  int // decisions to kill, also of incidents that have not ended

	Skew time.Duration // how far the clock of who writes the log is ahead of ours
}

// NewLedger begins at the end of the log as it is now; it may not exist yet.
func NewLedger(path, target string) (*Ledger, error) {
	st, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return &Ledger{path: path, target: target}, nil
	case err != nil:
		return nil, err
	}
	return &Ledger{path: path, target: target, offset: st.Size()}, nil
}

// Read takes the lines that are whole by now.
func (l *Ledger) Read() error {
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
		r.Time = r.Time.Add(-l.Skew)
		if r.Step == "kill" {
			l.Kills++
		}
		if err := l.of(r.Incident).take(r); err != nil {
			return fmt.Errorf("audit log: %s: %w", r.Step, err)
		}
	}
	return nil
}

func (l *Ledger) of(id string) *Incident {
	if i := slices.IndexFunc(l.all, func(in *Incident) bool { return in.ID == id }); i >= 0 {
		return l.all[i]
	}
	in := &Incident{ID: id}
	l.all = append(l.all, in)
	return in
}

// Ended are the incidents that have come to their end, in their order.
func (l *Ledger) Ended() []Incident {
	var all []Incident
	for _, in := range l.all {
		if !in.Ended.IsZero() {
			all = append(all, *in)
		}
	}
	return all
}

// Reason is why an incident ended as it did, in brackets.
func (in *Incident) Reason() string {
	for _, s := range []string{in.Err, in.Why} {
		if s != "" {
			return "(" + s + ")"
		}
	}
	return ""
}
