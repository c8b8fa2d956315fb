// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unicode"
)

// Path is what one monitor can say of its way to a target (§3.4.2).
type Path uint8

const (
	PathUnknown Path = iota // the target is not open here
	PathFailed              // this side's probe fails: whatever was or was not read says nothing
	PathSilent              // no answer, and nothing wrong on this side
	PathGood                // it answers
)

var pathNames = [...]string{PathUnknown: "unknown", PathFailed: "failed", PathSilent: "silent", PathGood: "good"}

func (p Path) String() string {
	if int(p) < len(pathNames) {
		return pathNames[p]
	}
	return fmt.Sprintf("path(%d)", uint8(p))
}

// MarshalText writes the name.
func (p Path) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText takes a name that MarshalText writes.
func (p *Path) UnmarshalText(b []byte) error {
	for i, name := range pathNames {
		if string(b) == name {
			*p = Path(i)
			return nil
		}
	}
	return fmt.Errorf("unknown path %q", b)
}

// Report is all that a monitor tells the others, each time anew.
type Report struct {
	Version int     `json:"v"`
	Monitor string  `json:"monitor"`
	Seq     uint64  `json:"seq"`               // rises within a connection
	Leaving bool    `json:"leaving,omitempty"` // this is its last word
	Weight  float64 `json:"weight,omitempty"`  // of its share of the targets; 0: 1
	Lines   []Line  `json:"targets"`
}

// Line is one target as the reporter sees it.
type Line struct {
	Target string `json:"target"`
	Path   Path   `json:"path"`
	Owns   bool   `json:"owns,omitempty"`  // it holds the writer's place, or is about to give it up
	Epoch  uint64 `json:"epoch,omitempty"` // of its ownership
	Boot   string `json:"boot,omitempty"`  // which machine it means
	Slot   uint32 `json:"slot"`
	Order  uint64 `json:"order"` // digest of its order of monitors
}

// ReportVersion is what this code writes and reads.
const ReportVersion = 1

// Bounds of what is taken from another monitor.
const (
	LongestReport = 1 << 20
	mostLines     = 4096
	longestName   = 256
	longestBoot   = 64

	HeaviestWeight = 1000
)

// Encode writes a report as one line of JSON.
func (r *Report) Encode() ([]byte, error) {
	b, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	if len(b) >= LongestReport {
		return nil, fmt.Errorf("report of %d targets: %d bytes, at most %d", len(r.Lines), len(b), LongestReport)
	}
	return append(b, '\n'), nil
}

// DecodeReport reads one line. Fields that it does not know are a later
// version's, and are passed over.
func DecodeReport(b []byte) (*Report, error) {
	if len(b) > LongestReport {
		return nil, fmt.Errorf("report: %d bytes, at most %d", len(b), LongestReport)
	}
	r := &Report{}
	dec := json.NewDecoder(bytes.NewReader(b))
	if err := dec.Decode(r); err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	if dec.More() {
		return nil, errors.New("report: more than one value in a line")
	}
	if err := r.check(); err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	return r, nil
}

func (r *Report) check() error {
	switch {
	case r.Version != ReportVersion:
		return fmt.Errorf("version %d, want %d", r.Version, ReportVersion)
	case !IsName(r.Monitor):
		return errors.New("its monitor has no proper name")
	case !(r.Weight >= 0 && r.Weight <= HeaviestWeight):
		return fmt.Errorf("weight %g: 0 to %d", r.Weight, HeaviestWeight)
	case len(r.Lines) > mostLines:
		return fmt.Errorf("%d targets, at most %d", len(r.Lines), mostLines)
	}
	seen := make(map[string]bool, len(r.Lines))
	for i := range r.Lines {
		l := &r.Lines[i]
		switch {
		case !IsName(l.Target):
			return fmt.Errorf("target %d has no proper name", i)
		case seen[l.Target]:
			return fmt.Errorf("target %q is there twice", l.Target)
		case len(l.Boot) > longestBoot || !printable(l.Boot):
			return fmt.Errorf("target %q: no boot id", l.Target)
		}
		seen[l.Target] = true
	}
	return nil
}

// IsName: what names a monitor or a target is shown to people.
func IsName(s string) bool { return s != "" && len(s) <= longestName && printable(s) }

func printable(s string) bool {
	for _, r := range s {
		if !unicode.IsGraphic(r) || r == unicode.ReplacementChar {
			return false
		}
	}
	return true
}
