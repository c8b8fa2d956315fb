// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"lazystate/dsm"
	"lazystate/dsm/daemon"
	"lazystate/dsm/transport"
	"lazystate/internal/cli"
	"lazystate/tools/dsmd/status"
)

func report(node dsm.NodeID, at time.Time, ordinal uint64) status.Report {
	r := status.Of(dsm.Config{Self: node, Nodes: 2}, at, daemon.Status{
		Incarnation: 1, Live: true, Ordinal: ordinal, LogBytes: 1 << 20, Region: 4 << 20, Counters: dsm.Counters{Misses: 3 * ordinal, Saved: 2, WindowMost: 1},
	}, 0, []transport.PeerStatus{{Node: 1 - node, Incarnation: 1, Up: true, SentBytes: uint64(1024 * ordinal), Kept: 2, KeptBytes: 100, Silent: time.Millisecond, Links: 1}})
	r.Written = at
	return r
}

func dsmtop(t *testing.T, want int, args ...string) string {
	t.Helper()
	var out, errs bytes.Buffer
	if code := run(context.Background(), append([]string{"dsmtop"}, args...), strings.NewReader(""), &out, &errs); code != want {
		t.Fatalf("dsmtop %v: exit %d, not %d: %s%s", args, code, want, &out, &errs)
	}
	return out.String() + errs.String()
}

// line is the one that begins so, its columns by one space.
func line(t *testing.T, page, begins string) string {
	t.Helper()
	for l := range strings.Lines(page) {
		if l = strings.Join(strings.Fields(l), " "); strings.HasPrefix(l, begins) {
			return l
		}
	}
	t.Fatalf("no line begins with %q:\n%s", begins, page)
	return ""
}

// Rates are of two looks at the same life; who is silent, recovers or has failed is
// called so.
func TestTwoLooks(t *testing.T) {
	now := time.Now()
	var v view
	var out bytes.Buffer
	if err := v.show(&out, []status.Report{report(0, now.Add(-2*time.Second), 100), report(1, now.Add(-2*time.Second), 100)}, nil); err != nil {
		t.Fatal(err)
	}
	if l := line(t, out.String(), "P0"); !strings.HasPrefix(l, "P0 lives 1 100 - - - 1 MiB 25.0 % 2 1") {
		t.Errorf("%q", l)
	}
	out.Reset()
	next := []status.Report{report(0, now, 300), report(1, now.Add(-time.Minute), 100)}
	next[0].Waiting = "lock 3\x1b[2J, of P1"
	v.links = true
	if err := v.show(&out, next, nil); err != nil {
		t.Fatal(err)
	}
	if l := line(t, out.String(), "P0 lives"); !strings.HasPrefix(l, "P0 lives 1 300 100 300 0 1 MiB") || !strings.HasSuffix(l, `lock 3\x1b[2J, of P1`) {
		t.Errorf("%q", l)
	}
	if l := line(t, out.String(), "P1 silent"); !strings.Contains(l, "1m0") {
		t.Errorf("%q", l)
	}
	if l := line(t, out.String(), "P0 P1"); l != "P0 P1 1 true 100 KiB 0 B 2 (100 B) 1ms 1" {
		t.Errorf("%q", l)
	}
	out.Reset()
	next[0].Incarnation, next[0].Live, next[1].Failed = 2, false, "two nodes have failed at once"
	if err := v.show(&out, next, nil); err != nil {
		t.Fatal(err)
	}
	if l := line(t, out.String(), "P0 recovers"); !strings.HasPrefix(l, "P0 recovers 2 300 - - -") {
		t.Errorf("%q", l)
	}
	line(t, out.String(), "P1 failed")
	line(t, out.String(), "P1: two nodes have failed at once")
}

func TestCommand(t *testing.T) {
	run := t.TempDir()
	dsmtop(t, cli.Failed, "--once", run)
	dsmtop(t, cli.Usage)
	dsmtop(t, cli.Usage, "--every", "0s", run)
	if err := status.Write(run, report(1, time.Now(), 7)); err != nil {
		t.Fatal(err)
	}
	line(t, dsmtop(t, cli.OK, "--once", run), "P1 lives 1 7")
	var all []status.Report
	if err := json.Unmarshal([]byte(dsmtop(t, cli.OK, "--once", "--json", run)), &all); err != nil || len(all) != 1 || all[0].Ordinal != 7 {
		t.Errorf("%v, %+v", err, all)
	}
}

// It goes on until it is told to end.
func TestGoesOn(t *testing.T) {
	run2 := t.TempDir()
	if err := status.Write(run2, report(1, time.Now(), 7)); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	looks := &counter{after: 3, do: stop}
	if code := run(ctx, []string{"dsmtop", "--every", "1ms", run2}, strings.NewReader(""), looks, looks); code != cli.OK || looks.n < 3 {
		t.Errorf("exit %d after %d looks", code, looks.n)
	}
}

// counter counts writes.
type counter struct {
	n, after int
	do       func()
}

func (c *counter) Write(b []byte) (int, error) {
	if c.n++; c.n == c.after {
		c.do()
	}
	return len(b), nil
}
