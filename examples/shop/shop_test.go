// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lazystate/examples/outcome/pgtest"
	"lazystate/mtcp/keeper"
	"lazystate/mtcp/keeper/keepertest"
)

// shopping is curl with some orders of pens, all on one connection.
func (o *open) shopping(ns ...int) *keepertest.Client {
	args := []string{}
	for i, n := range ns {
		if i > 0 {
			args = append(args, "--next")
		}
		args = append(args, "-sS", "--retry", "100", "--retry-delay", "1", "--retry-connrefused", "-d", "item=pen", "-d", "n="+strconv.Itoa(n), "http://"+o.Addr+"/buy")
	}
	return keepertest.NewClient(o.t, "curl", args...)
}

// balance checks the books: each order is there once, and the client was told
// what they say.
func (o *open) balance(told []byte, ns ...int) {
	o.t.Helper()
	lines := strings.Split(strings.TrimSuffix(string(told), "\n"), "\n")
	if diff := cmp.Diff(pgtest.Column[string](o.t, o.dsn, "SELECT reply FROM orders ORDER BY seq, id"), lines); diff != "" {
		o.t.Errorf("the books say - and the client was told +\n%s", diff)
	}
	sold := 0
	for i, n := range ns {
		sold += n
		if i >= len(lines) || !strings.Contains(lines[i], fmt.Sprintf(": %d pen for %d", n, 120*n)) {
			o.t.Errorf("order %d, of %d pens, is not in %q", i, n, lines)
		}
	}
	if left := pgtest.Column[int](o.t, o.dsn, "SELECT stock FROM item WHERE name = 'pen'"); !slices.Equal(left, []int{1000 - sold}) {
		o.t.Errorf("%v pens are left of 1000, %d are sold", left, sold)
	}
}

// Either process dies at each point of its work on each of three requests.
func TestExactlyOnce(t *testing.T) {
	dsn := stocked(t)
	for _, point := range []string{"begun", "exported", "committed", "replied", "asked", "answered"} {
		for n := 1; n <= 3; n++ {
			t.Run(fmt.Sprint(point, " ", n), func(t *testing.T) {
				pgtest.Exec(t, dsn, "DELETE FROM orders; UPDATE item SET stock = 1000 WHERE name = 'pen'")
				o := opened(t, dsn, dsn, fmt.Sprintf("%s=%s:%d", dieAt, point, n))
				o.balance(o.shopping(2, 3, 4).Rest(), 2, 3, 4)
			})
		}
	}
}

// Committed: the process died when it had, and before it said so. The reply is
// what the database has of it.
func TestCommitted(t *testing.T) {
	dsn := stocked(t)
	o := opened(t, dsn, dsn, dieAt+"=committed:1")
	o.balance(o.shopping(7).Rest(), 7)
	if got := o.outcomes(); !slices.Equal(got, []string{"committed"}) {
		t.Errorf("PostgreSQL answered %q", got)
	}
}

// Aborted: the process died before it committed, and PostgreSQL knows. It may
// have been asked before it had noticed.
func TestAborted(t *testing.T) {
	dsn := stocked(t)
	o := opened(t, dsn, dsn, dieAt+"=exported:1")
	o.balance(o.shopping(7).Rest(), 7)
	got := o.outcomes()
	if len(got) == 0 || got[len(got)-1] != "aborted" || slices.Contains(got, "committed") {
		t.Errorf("PostgreSQL answered %q", got)
	}
}

// In progress: the process died with its machine, so PostgreSQL was not told,
// and its own process for it waits for the commit for ever.
func TestInProgressIsEnded(t *testing.T) {
	dsn := stocked(t)
	o := opened(t, dsn, pgtest.Relayed(t, dsn, false).DSN, dieAt+"=exported:1")
	o.balance(o.shopping(7).Rest(), 7)
	if got := o.outcomes(); !slices.Equal(got, []string{"in progress", "aborted"}) {
		t.Errorf("PostgreSQL answered %q", got)
	}
}

// In progress, and the dead process's commit, which was under way, arrives
// before anybody has ended it: then it counts.
func TestInProgressIsCommittedAfterAll(t *testing.T) {
	dsn := stocked(t)
	r := pgtest.Relayed(t, dsn, true)
	file := filepath.Join(t.TempDir(), "asked")
	o := &open{Service: keepertest.New(t, keeper.Config{}), t: t, dsn: dsn}
	o.start([]string{"front", "--keeper", o.Socket, "--listen", o.Addr}, nil)
	first := o.start([]string{"back", "--keeper", o.Socket, "--database", r.DSN}, nil)
	c := o.shopping(7)
	await(t, r.Held)
	first.Kill()
	o.start([]string{"back", "--keeper", o.Socket, "--database", r.DSN}, []string{waitAt + "=in progress:1:" + file})
	awaitFile(t, file)
	close(r.Free)
	for until := time.Now().Add(keepertest.Hang); len(pgtest.Column[int64](t, dsn, "SELECT id FROM orders")) == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("the commit does not arrive")
		}
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	o.balance(c.Rest(), 7)
	if got := o.outcomes(); !slices.Equal(got, []string{"in progress", "committed"}) {
		t.Errorf("PostgreSQL answered %q", got)
	}
}

// Too old: the session waited so long that PostgreSQL has forgotten. Neither a
// reply nor another try would be right, and the client is told by name.
func TestTooOld(t *testing.T) {
	dsn := stocked(t)
	o := &open{Service: keepertest.New(t, keeper.Config{}), t: t, dsn: dsn}
	o.start([]string{"front", "--keeper", o.Socket, "--listen", o.Addr}, nil)
	first := o.start([]string{"back", "--keeper", o.Socket, "--database", dsn}, []string{dieAt + "=exported:1"})
	c := o.shopping(7, 8)
	await(t, first.Done())
	forget(t)
	o.start([]string{"back", "--keeper", o.Socket, "--database", dsn}, nil)
	told := strings.SplitAfterN(string(c.Rest()), "\n", 2)
	if want := "is unknown: it is too long ago"; !strings.HasPrefix(told[0], unknown) || !strings.Contains(told[0], want) {
		t.Errorf("the client was told %q", told[0])
	}
	o.balance([]byte(told[1]), 8)
	if got := o.outcomes(); !slices.Equal(got, []string{"unknown"}) {
		t.Errorf("PostgreSQL answered %q", got)
	}
}

// forget lets PostgreSQL come so much further that it drops what it knows of
// transactions that are over.
func forget(t *testing.T) {
	t.Helper()
	pgtest.Advance(t)
	pgtest.Exec(t, pgtest.Admin(), "ALTER DATABASE template0 ALLOW_CONNECTIONS true")
	for _, name := range pgtest.Column[string](t, pgtest.Admin(), "SELECT datname FROM pg_database") {
		pgtest.Exec(t, pgtest.Sibling(name), "VACUUM (FREEZE)")
	}
}

// PostgreSQL itself dies with a transaction that is about to be committed.
func TestDatabaseDies(t *testing.T) {
	dsn := stocked(t)
	file := filepath.Join(t.TempDir(), "exported")
	o := opened(t, dsn, dsn, waitAt+"=exported:1:"+file)
	c := o.shopping(7, 8)
	awaitFile(t, file)
	pgtest.Crash(t)
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	o.balance(c.Rest(), 7, 8)
	if got := o.outcomes(); !slices.Equal(got, []string{"aborted"}) {
		t.Errorf("PostgreSQL answered %q", got)
	}
}

// What is refused is a transaction as well, and no other item's stock.
func TestRefusals(t *testing.T) {
	dsn := stocked(t)
	o := opened(t, dsn, dsn, dieAt+"=committed:2")
	get := func(args ...string) string {
		return string(keepertest.NewClient(t, "curl", append(append([]string{"-sS", "--retry", "100", "--retry-delay", "1", "--retry-connrefused"}, args...), "http://"+o.Addr+"/buy")...).Rest())
	}
	for _, c := range []struct{ args, want string }{
		{"item=ink&n=3", ": 3 ink for 2850, 2 left"},
		{"item=ink&n=3", "refused "},
		{"item=ink&n=2", ": 2 ink for 1900, 0 left"},
		{"item=nothing&n=1", "refused "},
		{"item=pen&n=-1", "refused "},
	} {
		if got := get("-d", c.args); !strings.Contains(got, c.want) {
			t.Errorf("%s: %q", c.args, got)
		}
	}
	if got := get(); !strings.HasPrefix(got, "POST") {
		t.Errorf("GET: %q", got)
	}
	if n := pgtest.Column[int64](t, dsn, "SELECT count(*) FROM orders"); n[0] != 5 {
		t.Errorf("%d orders in the books", n[0])
	}
}

func await(t *testing.T, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(keepertest.Hang):
		t.Fatal("it does not come")
	}
}

func awaitFile(t *testing.T, name string) {
	t.Helper()
	for until := time.Now().Add(keepertest.Hang); ; time.Sleep(time.Millisecond) {
		if _, err := os.Stat(name); err == nil {
			return
		}
		if time.Now().After(until) {
			t.Fatal("it does not come so far")
		}
	}
}
