// SPDX-License-Identifier: Apache-2.0

package main

import (
	"regexp"
	"testing"

	"lazystate/examples/outcome/pgtest"
	"lazystate/mtcp/keeper"
	"lazystate/mtcp/keeper/keepertest"
	"lazystate/tools/testbed"
)

func TestMain(m *testing.M) {
	at = keepertest.At
	keepertest.Main(m, run, pgtest.End, testbed.Done)
}

// stocked returns what connects to a fresh database with some stock.
func stocked(t *testing.T) (dsn string) {
	t.Helper()
	return pgtest.New(t, schema+"INSERT INTO item VALUES ('pen', 120, 1000), ('ink', 950, 5)")
}

// open is a shop that is open: a front end and a back end, of which each is
// replaced as soon as it is dead.
type open struct {
	*keepertest.Guarded
	t   *testing.T
	dsn string // for the test itself
}

// opened: back is how back ends reach the database.
func opened(t *testing.T, dsn, back string, env ...string) *open {
	t.Helper()
	o := &open{keepertest.Guard(t, keeper.Config{}), t, dsn}
	o.Keep(env, "back", "--keeper", o.Socket, "--database", back)
	o.Keep(env, "front", "--keeper", o.Socket, "--listen", o.Addr)
	return o
}

var answer = regexp.MustCompile(`outcome="?([a-z ]+[a-z])`)

// outcomes are PostgreSQL's answers so far.
func (o *open) outcomes() (all []string) {
	for _, m := range answer.FindAllStringSubmatch(o.Said(), -1) {
		all = append(all, m[1])
	}
	return all
}
