// SPDX-License-Identifier: Apache-2.0

package mtcp

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
)

// TestScenarios plays the stories in testdata: a writer W, a reader R and the
// stream between them, drawn as in Figures 2.5 and 2.6.
func TestScenarios(t *testing.T) {
	datadriven.Walk(t, "testdata/scenario", func(t *testing.T, path string) {
		var s story
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			out, err := s.command(d)
			if err != nil {
				return "error: " + err.Error()
			}
			return out
		})
	})
}

// story is one stream. Its bytes are not there: only positions are.
type story struct {
	r        Reader
	w        Writer
	lsw      uint64
	wNDI     bool
	wAt, rAt uint64 // where both were at the last move
	drawn    *Resumed
	lastHead uint64
}

func (s *story) command(d *datadriven.TestData) (string, error) {
	n := uint64(0)
	if len(d.CmdArgs) > 0 {
		v, err := strconv.ParseUint(d.CmdArgs[0].Key, 10, 64)
		if err == nil {
			n = v
		}
	}
	switch d.Cmd {
	case "stream": // stream 16: with a log of 16 bytes
		*s = story{r: Reader{Size: n}}
		return "", nil
	case "write":
		return s.write(n), nil
	case "read":
		return s.read(n), nil
	case "export":
		return s.export(d.CmdArgs[0].Key, d.HasArg("ndi"))
	case "move":
		return s.move(d.CmdArgs[0].Key)
	case "restart":
		return s.restart(d.CmdArgs[0].Key)
	case "draw":
		return s.draw(), nil
	}
	return "", fmt.Errorf("unknown command %s", d.Cmd)
}

func (s *story) write(n uint64) string {
	room := s.r.LSR + s.r.Size - min(s.w.Pos, s.r.LSR+s.r.Size)
	if n > room {
		return fmt.Sprintf("the stream takes %d, R's log is in the way", room)
	}
	swallow := s.w.Swallow(n)
	rest := Span{s.w.Pos + swallow, s.w.Pos + n}
	holds := s.w.Holds()
	s.w.Write(n)
	var said []string
	if swallow > 0 {
		said = append(said, fmt.Sprintf("%v swallowed", Span{rest.From - swallow, rest.From}))
	}
	if !rest.Empty() {
		said = append(said, fmt.Sprintf("%v %s", rest, map[bool]string{true: "held", false: "passed on"}[holds]))
	}
	return strings.Join(said, ", ")
}

func (s *story) read(n uint64) string {
	if s.r.Full() {
		return "the log is full: R must export"
	}
	s.r.Fetch(min(s.r.Room(), s.w.Head-min(s.w.Head, s.r.End)))
	got := s.r.Logged(n)
	s.r.Read(got.Len())
	return fmt.Sprintf("%v", got)
}

func (s *story) export(who string, ndi bool) (string, error) {
	if who == "R" {
		gone := s.r.Export()
		return fmt.Sprintf("Sr at %d, %v out of the log", s.r.LSR, gone), nil
	}
	released, err := s.w.Export(ndi)
	if err != nil {
		return "", err
	}
	s.lsw, s.wNDI = s.w.Pos, ndi
	s.w.Passed(max(s.w.Head, released.To))
	if released.Empty() {
		return fmt.Sprintf("Sw at %d", s.lsw), nil
	}
	return fmt.Sprintf("Sw at %d, %v released", s.lsw, released), nil
}

func (s *story) move(policy string) (string, error) {
	p := Whole
	if policy == "minimal" {
		p = Minimal
	}
	s.wAt, s.rAt, s.lastHead = s.w.Pos, s.r.Pos, s.w.Head
	res, err := Channel{LSR: s.r.LSR, LSW: s.lsw, Head: s.w.Head}.Sync(p)
	if err != nil {
		return "", err
	}
	s.drawn = &res
	if s.w, err = NewWriter(res.Writer, res.Head, s.wNDI); err != nil {
		return "", err
	}
	if s.r, err = NewReader(res.Reader, res.Log.To, s.r.Size); err != nil {
		return "", err
	}
	return fmt.Sprintf("log %v moves, R reads from %d, W writes from %d, %d discarded", res.Log, res.Reader, res.Writer, res.Discard), nil
}

// restart: one process died, its ring and the other process are still there.
func (s *story) restart(who string) (out string, err error) {
	if who == "R" {
		s.r, err = NewReader(s.r.LSR, s.w.Head, s.r.Size)
		return fmt.Sprintf("R reads from %d", s.r.Pos), err
	}
	s.w, err = NewWriter(s.lsw, max(s.w.Head, s.lsw), s.wNDI)
	return fmt.Sprintf("W writes from %d, %d discarded", s.w.Pos, s.w.Head-s.w.Pos), err
}

// draw shows the stream at the last move, byte by byte, downwards as the
// figures do: R with its snapshot on the left, W on the right.
func (s *story) draw() string {
	var b strings.Builder
	res := s.drawn
	end := max(s.lastHead, s.wAt, res.Head)
	for off := uint64(0); off <= end; off++ {
		left, right, mid := "", "", "~ made again"
		switch {
		case off == end:
			mid = ""
		case off < res.Log.From && off < res.Writer:
			mid = ". read and written for good"
		case off >= res.Log.From && off < res.Log.To:
			mid = "# in the log"
		case off < res.Head:
			mid = "x made again and discarded"
		}
		if off == res.Reader {
			left = "lsr"
		}
		if off == s.rAt {
			left += " R"
		}
		if off == res.Writer {
			right = "lsw"
		}
		if off == s.wAt {
			right += " W"
		}
		fmt.Fprintf(&b, "%6s %2d |%s\n", left, off, strings.TrimRight(fmt.Sprintf("%-28s| %s", mid, right), " "))
	}
	return b.String()
}
