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
func shopping(t *testing.T, addr string, ns ...int) *keepertest.Client {
	return keepertest.NewClient(t, "curl", orders(addr, ns...)...)
}

// orders are curl's arguments for that.
func orders(addr string, ns ...int) []string {
	args := []string{}
	for i, n := range ns {
		if i > 0 {
			args = append(args, "--next")
		}
		args = append(args, "-sS", "--retry", "100", "--retry-delay", "1", "--retry-connrefused", "-d", "item=pen", "-d", "n="+strconv.Itoa(n), "http://"+addr+"/buy")
	}
	return args
}

// balance checks the books: each order is there once, and the client was told
// what they say.
func balance(t *testing.T, dsn string, told []byte, ns ...int) {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(string(told), "\n"), "\n")
	if diff := cmp.Diff(pgtest.Column[string](t, dsn, "SELECT reply FROM orders ORDER BY seq, id"), lines); diff != "" {
		t.Errorf("the books say - and the client was told +\n%s", diff)
	}
	sold := 0
	for i, n := range ns {
		sold += n
		if i >= len(lines) || !strings.Contains(lines[i], fmt.Sprintf(": %d pen for %d", n, 120*n)) {
			t.Errorf("order %d, of %d pens, is not in %q", i, n, lines)
		}
	}
	if left := pgtest.Column[int](t, dsn, "SELECT stock FROM item WHERE name = 'pen'"); !slices.Equal(left, []int{1000 - sold}) {
		t.Errorf("%v pens are left of 1000, %d are sold", left, sold)
	}
}

// Either process dies at each point of its work on each of three requests.
func TestExactlyOnce(t *testing.T) {
	dsn := stocked(t)
	for _, point := range []string{"begun", "exported", "committed", "replied", "asked", "answered"} {
		for n := 1; n <= 3; n++ {
			t.Run(fmt.Sprint(point, " ", n), func(t *testing.T) {
				pgtest.Exec(t, dsn, "DELETE FROM orders; UPDATE item SET stock = 1000 WHERE name = 'pen'")
				o := opened(t, dsn, dsn, fmt.Sprintf("%s=%s:%d", keepertest.DieAt, point, n))
				balance(t, dsn, shopping(t, o.Addr, 2, 3, 4).Rest(), 2, 3, 4)
			})
		}
	}
}

// Committed: the process died when it had, and before it said so. The reply is
// what the database has of it.
func TestCommitted(t *testing.T) {
	dsn := stocked(t)
	o := opened(t, dsn, dsn, keepertest.DieAt+"=committed:1")
	balance(t, dsn, shopping(t, o.Addr, 7).Rest(), 7)
	if got := o.outcomes(); !slices.Equal(got, []string{"committed"}) {
		t.Errorf("PostgreSQL answered %q", got)
	}
}

// Aborted: the process died before it committed, and PostgreSQL knows. It may
// have been asked before it had noticed.
func TestAborted(t *testing.T) {
	dsn := stocked(t)
	o := opened(t, dsn, dsn, keepertest.DieAt+"=exported:1")
	balance(t, dsn, shopping(t, o.Addr, 7).Rest(), 7)
	got := o.outcomes()
	if len(got) == 0 || got[len(got)-1] != "aborted" || slices.Contains(got, "committed") {
		t.Errorf("PostgreSQL answered %q", got)
	}
}

// In progress: the process died with its machine, so PostgreSQL was not told,
// and its own process for it waits for the commit for ever.
func TestInProgressIsEnded(t *testing.T) {
	dsn := stocked(t)
	o := opened(t, dsn, pgtest.Relayed(t, dsn, false).DSN, keepertest.DieAt+"=exported:1")
	balance(t, dsn, shopping(t, o.Addr, 7).Rest(), 7)
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
	o := &open{keepertest.Guard(t, keeper.Config{}), t, dsn}
	o.Start(nil, "front", "--keeper", o.Socket, "--listen", o.Addr)
	first := o.Start(nil, "back", "--keeper", o.Socket, "--database", r.DSN)
	c := shopping(t, o.Addr, 7)
	await(t, r.Held)
	first.Kill()
	o.Start([]string{keepertest.WaitAt + "=in progress:1:" + file}, "back", "--keeper", o.Socket, "--database", r.DSN)
	keepertest.Await(t, file)
	close(r.Free)
	for until := time.Now().Add(keepertest.Hang); len(pgtest.Column[int64](t, dsn, "SELECT id FROM orders")) == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("the commit does not arrive")
		}
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	balance(t, dsn, c.Rest(), 7)
	if got := o.outcomes(); !slices.Equal(got, []string{"in progress", "committed"}) {
		t.Errorf("PostgreSQL answered %q", got)
	}
}

// Too old: the session waited so long that PostgreSQL has forgotten. Neither a
// reply nor another try would be right, and the client is told by name.
func TestTooOld(t *testing.T) {
	dsn := stocked(t)
	o := &open{keepertest.Guard(t, keeper.Config{}), t, dsn}
	o.Start(nil, "front", "--keeper", o.Socket, "--listen", o.Addr)
	first := o.Start([]string{keepertest.DieAt + "=exported:1"}, "back", "--keeper", o.Socket, "--database", dsn)
	c := shopping(t, o.Addr, 7, 8)
	await(t, first.Done())
	pgtest.Forget(t)
	o.Start(nil, "back", "--keeper", o.Socket, "--database", dsn)
	told := strings.SplitAfterN(string(c.Rest()), "\n", 2)
	if want := "is unknown: it is too long ago"; !strings.HasPrefix(told[0], unknown) || !strings.Contains(told[0], want) {
		t.Errorf("the client was told %q", told[0])
	}
	balance(t, dsn, []byte(told[1]), 8)
	if got := o.outcomes(); !slices.Equal(got, []string{"unknown"}) {
		t.Errorf("PostgreSQL answered %q", got)
	}
}

// PostgreSQL itself dies with a transaction that is about to be committed.
func TestDatabaseDies(t *testing.T) {
	dsn := stocked(t)
	file := filepath.Join(t.TempDir(), "exported")
	o := opened(t, dsn, dsn, keepertest.WaitAt+"=exported:1:"+file)
	c := shopping(t, o.Addr, 7, 8)
	keepertest.Await(t, file)
	pgtest.Crash(t)
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	balance(t, dsn, c.Rest(), 7, 8)
	if got := o.outcomes(); !slices.Equal(got, []string{"aborted"}) {
		t.Errorf("PostgreSQL answered %q", got)
	}
}

// What is refused is a transaction as well, and no other item's stock.
func TestRefusals(t *testing.T) {
	dsn := stocked(t)
	o := opened(t, dsn, dsn, keepertest.DieAt+"=committed:2")
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
