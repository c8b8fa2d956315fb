// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"lazystate/tools/control"
)

// stream sends events until the peer goes away.
func (d *daemonState) stream(ctx context.Context, target string, send func(any) error) error {
	if target != "" && d.find(target) == nil {
		return fmt.Errorf("no target %q is configured", target)
	}
	events, cancel := d.hub.subscribe()
	defer cancel()
	for {
		select {
		case ev := <-events:
			if target != "" && ev.Target != target {
				continue
			}
			if err := send(ev); err != nil {
				return err
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// longestTail bounds how much of the audit log is read for one answer.
const longestTail = 1 << 20

// tail sends the last lines of the audit log.
func (d *daemonState) tail(r control.Request, send func(any) error) error {
	f, err := os.Open(d.audit.Path())
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	from := max(0, st.Size()-longestTail)
	b, err := io.ReadAll(io.NewSectionReader(f, from, longestTail))
	if err != nil {
		return fmt.Errorf("read audit log: %w", err)
	}
	lines := bytes.Split(bytes.TrimSuffix(b, []byte("\n")), []byte("\n"))
	if from > 0 && len(lines) > 0 {
		lines = lines[1:] // cut in the middle
	}
	records := []json.RawMessage{}
	for _, l := range lines {
		var of struct{ Target string }
		if json.Unmarshal(l, &of) == nil && (r.Target == "" || of.Target == r.Target) {
			records = append(records, l)
		}
	}
	if r.Lines > 0 && len(records) > r.Lines {
		records = records[len(records)-r.Lines:]
	}
	return send(records)
}
