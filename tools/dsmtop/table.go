// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"lazystate/dsm"
	"lazystate/tools/control"
	"lazystate/tools/dsmd/status"
)

// longAgo is an age at which a node has missed reports.
const longAgo = 4 * time.Second

// nodes prints a line a node.
func nodes(out io.Writer, now time.Time, last, all []status.Report) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NODE\tSTATE\tINC\tOPERATION\tOP/S\tMISS/S\tWRITE/S\tLOG\tOF REGION\tSAVED\tWINDOW\tAGE\tWAITS FOR")
	for _, r := range all {
		was := before(last, r)
		fmt.Fprintf(w, "%v\t%s\t%d\t%d\t%s\t%s\t%s\t%s\t%s\t%d\t%d\t%s\t%s\n", r.Node, state(now, r), r.Incarnation, r.Ordinal,
			rate(was, r, func(r status.Report) uint64 { return r.Ordinal }),
			rate(was, r, func(r status.Report) uint64 { return r.Counters.Misses }),
			rate(was, r, func(r status.Report) uint64 { return r.Counters.Upgrades }),
			size(uint64(r.LogBytes)), share(r), r.Counters.Saved, r.Counters.WindowMost,
			now.Sub(r.Written).Round(100*time.Millisecond), control.Text(r.Waiting))
	}
	w.Flush() // to memory
	for _, r := range all {
		if r.Failed != "" {
			fmt.Fprintf(out, "%v: %s\n", r.Node, control.Text(r.Failed))
		}
	}
}

func state(now time.Time, r status.Report) string {
	switch {
	case r.Failed != "":
		return "failed"
	case now.Sub(r.Written) > longAgo:
		return "silent"
	case !r.Live:
		return "recovers"
	}
	return "lives"
}

// before is the report of the same life that was seen last.
func before(last []status.Report, r status.Report) *status.Report {
	for i := range last {
		if l := &last[i]; l.Node == r.Node && l.Incarnation == r.Incarnation && l.PID == r.PID && l.Written.Before(r.Written) {
			return l
		}
	}
	return nil
}

// rate is how much a count has risen in a second.
func rate(was *status.Report, r status.Report, of func(status.Report) uint64) string {
	if was == nil || of(*was) > of(r) {
		return "-"
	}
	return fmt.Sprintf("%.0f", float64(of(r)-of(*was))/r.Written.Sub(was.Written).Seconds())
}

func share(r status.Report) string {
	if r.Region == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f %%", 100*float64(r.LogBytes)/float64(r.Region))
}

func size(n uint64) string {
	units := []string{"B", "KiB", "MiB", "GiB"}
	v, i := float64(n), 0
	for v >= 1024 && i < len(units)-1 {
		v, i = v/1024, i+1
	}
	return strings.TrimSuffix(fmt.Sprintf("%.1f", v), ".0") + " " + units[i]
}

// links prints a line for each end of each link.
func links(out io.Writer, last, all []status.Report) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "FROM\tTO\tINC\tUP\tOUT/S\tIN/S\tNOT HEARD\tSILENT\tCONNECTIONS")
	for _, r := range all {
		was := before(last, r)
		for i, p := range r.Peers {
			fmt.Fprintf(w, "%v\t%v\t%d\t%v\t%s\t%s\t%d (%s)\t%v\t%d\n", r.Node, p.Node, p.Incarnation, p.Up,
				bytesRate(was, r, i, p.Node, func(r status.Report, i int) uint64 { return r.Peers[i].SentBytes }),
				bytesRate(was, r, i, p.Node, func(r status.Report, i int) uint64 { return r.Peers[i].ReceivedBytes }),
				p.Kept, size(uint64(p.KeptBytes)), p.Silent.Round(time.Millisecond), p.Links)
		}
	}
	w.Flush()
}

// bytesRate is that of one link.
func bytesRate(was *status.Report, r status.Report, i int, peer dsm.NodeID, of func(status.Report, int) uint64) string {
	if was == nil || len(was.Peers) <= i || was.Peers[i].Node != peer || of(*was, i) > of(r, i) {
		return "-"
	}
	return size(uint64(float64(of(r, i)-of(*was, i)) / r.Written.Sub(was.Written).Seconds()))
}
