// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"lazystate/repair"
	"lazystate/tools/control"
)

// moment is a line of the time line.
type moment struct {
	at   time.Time
	who  string
	what string
}

// timeline prints what was when, from the panic on.
func (d *demo) timeline(ctx context.Context, panicked time.Time, clients ...*client) error {
	all := []moment{{panicked, "machine", "its kernel is told to panic"}}
	told, err := d.audited()
	all = append(all, told...)
	steps, asked := d.steps(ctx, told)
	all = append(all, steps...)
	for _, c := range clients {
		if w := c.worst(panicked); w.long > 0 {
			all = append(all, moment{w.over, "client", fmt.Sprintf("%s goes on after %d ms, its longest pause", c.what, w.long.Milliseconds())})
		}
	}
	slices.SortStableFunc(all, func(a, b moment) int { return a.at.Compare(b.at) })
	w := tabwriter.NewWriter(d.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "MS\tWHO\t WHAT")
	for _, m := range all {
		fmt.Fprintf(w, "%.1f\t%s\t %s\n", float64(m.at.Sub(panicked).Microseconds())/1000, m.who, m.what)
	}
	return errors.Join(err, asked, w.Flush())
}

// audited is what the monitor has decided and done, by its audit log.
func (d *demo) audited() (all []moment, err error) {
	text, err := os.ReadFile(d.path("audit"))
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(text)) {
		var r repair.Record
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			return nil, err
		}
		what := map[string]string{
			"event": "finds it dead", "plan": "has made its plan", "outcome": "has been told what became of the sessions", "abort": "gives up: " + r.Error,
		}[r.Step]
		if what != "" && r.Healer != "" {
			all = append(all, moment{r.Time, "monitor", what})
		}
		if r.Step == "outcome" {
			break // it is dead still, and found so again
		}
	}
	return all, nil
}

// steps are scd's, which says the same when it is asked again. Their times are since
// it began, which is when the last of them is behind it and before the monitor was told.
func (d *demo) steps(ctx context.Context, told []moment) (all []moment, err error) {
	c, err := control.Dial(ctx, d.bed.S2.Control())
	if err != nil {
		return nil, err
	}
	defer c.Close()
	var lines []control.Salvaged
	err = c.Stream(control.Request{Cmd: "salvage", Target: machine}, func(raw json.RawMessage) error {
		var s control.Salvaged
		if err := json.Unmarshal(raw, &s); err != nil {
			return err
		}
		if s.End {
			return errEnd
		}
		lines = append(lines, s)
		return nil
	})
	if !errors.Is(err, errEnd) {
		return nil, cmp.Or(err, errors.New("scd has ended"))
	}
	i := slices.IndexFunc(told, func(m moment) bool { return strings.HasPrefix(m.what, "has been told") })
	if i < 0 || len(lines) == 0 {
		return nil, nil
	}
	var whole int64
	for _, s := range lines {
		whole = max(whole, s.AfterUs)
	}
	began := told[i].at.Add(-time.Duration(whole) * time.Microsecond)
	for _, s := range lines {
		what := s.Step
		switch {
		case s.Error != "":
			what = fmt.Sprintf("the session of %s is lost: %s", s.Client, s.Error)
		case s.Step == "":
			what = fmt.Sprintf("the session of %s lives", s.Client)
		}
		all = append(all, moment{began.Add(time.Duration(s.AfterUs) * time.Microsecond), "scd", what})
	}
	return all, nil
}

var errEnd = errors.New("no more answers")
