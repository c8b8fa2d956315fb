// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"

	ucli "github.com/urfave/cli/v2"

	"lazystate/dsm"
	"lazystate/dsm/logs"
	"lazystate/dsm/vtime"
)

func dump() *ucli.Command {
	return &ucli.Command{
		Name: "dump", Usage: "what a checkpoint has: pages, logs, locks", ArgsUsage: "DIR",
		Flags: []ucli.Flag{asJSON(), &ucli.UintFlag{Name: "checkpoint", Usage: "its number; the last if none is given"}},
		Action: func(c *ucli.Context) error {
			all, err := folders(c)
			if err != nil {
				return err
			}
			dumps := []contents{}
			for _, f := range all {
				number := uint32(c.Uint("checkpoint"))
				if number == 0 && len(f.Window) > 0 {
					number = f.Window[len(f.Window)-1].Number
				}
				if number == 0 {
					continue // it has none yet
				}
				s, private, err := f.Read(number)
				if err != nil {
					return err
				}
				dumps = append(dumps, contentsOf(f.Node, s, len(private)))
			}
			if c.Bool("json") {
				return printJSON(c.App.Writer, dumps)
			}
			for _, d := range dumps {
				d.print(c.App.Writer)
			}
			return nil
		},
	}
}

// contents is a checkpoint in full, but for the bytes themselves.
type contents struct {
	Node     dsm.NodeID      `json:"node"`
	Number   uint32          `json:"number"`
	T        vtime.Time      `json:"t_ckp"`
	V        vtime.Time      `json:"v_h"`
	Ordinal  uint64          `json:"ordinal"`
	Private  int             `json:"private_bytes"`
	Pages    []page          `json:"pages"`
	Locks    []dsm.SavedLock `json:"locks"`
	Notices  []notice        `json:"wn_log"`
	Diffs    []diffEntry     `json:"diff_log"`
	Ragged   []diffEntry     `json:"ragged"`
	Barriers []logs.Barrier  `json:"barriers"`
	Peers    []dsm.SavedPeer `json:"peers"`
}

type page struct {
	Page dsm.Page    `json:"page"`
	Here bool        `json:"here"`
	Home *dsm.NodeID `json:"home,omitempty"`
	V    vtime.Time  `json:"v,omitempty"`    // p.v, at its home
	Need vtime.Time  `json:"need,omitempty"` // p.v^N
}

type notice struct {
	Writer   dsm.NodeID `json:"writer"`
	Interval uint64     `json:"interval"`
	Pages    []dsm.Page `json:"pages"`
	Ordinal  uint64     `json:"ordinal"`
	After    bool       `json:"after"` // the interval ended behind that operation
	Ragged   bool       `json:"ragged"`
}

type diffEntry struct {
	Page     dsm.Page   `json:"page"`
	Writer   dsm.NodeID `json:"writer"`
	Interval uint64     `json:"interval"`
	T        vtime.Time `json:"t"`
	Bytes    int        `json:"bytes"`
	Runs     int        `json:"runs"`
}

func contentsOf(node dsm.NodeID, s *dsm.State, private int) contents {
	d := contents{
		Node: node, Number: s.Number, T: s.T, V: s.V, Ordinal: s.Ordinal, Private: private, Locks: s.Held,
		Diffs: entries(s.Diffs), Ragged: entries(s.Ragged), Barriers: s.Bars, Peers: s.Peers,
	}
	for _, p := range s.Pages {
		line := page{Page: p.Page, Here: p.Bytes != nil, V: p.V, Need: p.Need}
		if p.Homed {
			line.Home = &p.Home
		}
		d.Pages = append(d.Pages, line)
	}
	for writer, list := range s.Notices {
		for _, n := range list {
			d.Notices = append(d.Notices, notice{dsm.NodeID(writer), n.Interval, n.Pages, n.Ordinal, n.After, n.Ragged})
		}
	}
	return d
}

func entries(list []logs.Diff) (all []diffEntry) {
	for _, d := range list {
		all = append(all, diffEntry{d.Page, d.Writer, d.Interval, d.T, d.Bytes(), len(d.Diff)})
	}
	return all
}

func (d contents) print(w io.Writer) {
	fmt.Fprintf(w, "%v checkpoint %d: T_ckp %v, V_H %v, operation %d, private state of %d bytes\n", d.Node, d.Number, d.T, d.V, d.Ordinal, d.Private)
	for _, p := range d.Pages {
		fmt.Fprintf(w, "page %d: %s\n", p.Page, p)
	}
	for _, l := range d.Locks {
		fmt.Fprintf(w, "lock %d: passed on %d times, token here %v, held %v\n", l.Lock, l.Seq, l.Have, l.Held)
	}
	for _, n := range d.Notices {
		fmt.Fprintf(w, "wn_log: %v interval %d, pages %v, ended %s\n", n.Writer, n.Interval, n.Pages, n.end())
	}
	printDiffs(w, "diff_log", d.Diffs)
	printDiffs(w, "ragged", d.Ragged)
	for _, b := range d.Barriers {
		fmt.Fprintf(w, "barrier log: number %d, barrier %d, T %v\n", b.Number, b.ID, b.T)
	}
	for i, p := range d.Peers {
		if dsm.NodeID(i) != d.Node {
			fmt.Fprintf(w, "%v: its checkpoint %d, T_ckp %v, V_H^[%v] %d\n", dsm.NodeID(i), p.Ckp.Number, p.Ckp.T, d.Node, p.Bound)
		}
	}
}

func (p page) String() string {
	switch {
	case p.Here:
		return fmt.Sprintf("here, p.v %v", p.V)
	case p.Home != nil && p.Need != nil:
		return fmt.Sprintf("home %v, p.v^N %v", *p.Home, p.Need)
	case p.Home != nil:
		return fmt.Sprintf("home %v", *p.Home)
	}
	return fmt.Sprintf("p.v^N %v", p.Need)
}

// end is where in the writer's program an interval ended.
func (n notice) end() string {
	s := "before"
	switch {
	case n.Ragged:
		s = "in the midst of what follows"
	case n.After:
		s = "after"
	}
	return fmt.Sprintf("%s operation %d", s, n.Ordinal)
}

func printDiffs(w io.Writer, name string, list []diffEntry) {
	for _, d := range list {
		fmt.Fprintf(w, "%s: page %d, %v interval %d, T %v, %d bytes in %d runs\n", name, d.Page, d.Writer, d.Interval, d.T, d.Bytes, d.Runs)
	}
}
