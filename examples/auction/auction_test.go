// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"lazystate/examples/outcome/pgtest"
	"lazystate/internal/freeport"
	"lazystate/mtcp/keeper"
	"lazystate/mtcp/keeper/keepertest"
	"lazystate/tools/lab"
)

func TestMain(m *testing.M) {
	at = keepertest.At
	keepertest.Main(inLab{m}, run, pgtest.End)
}

// inLab has tests with machines of the lab.
type inLab struct{ *testing.M }

func (m inLab) Run() int { return lab.Main(m.M, lab.Count(1, 2)) }

// stock is two users, one category, and an auction that lasts.
const stock = `INSERT INTO categories (name) VALUES ('pens');
INSERT INTO users (nickname, request) VALUES ('seller', ''), ('bidder', '');
INSERT INTO items (seller, category, name, top, ends, request) VALUES (1, 1, 'a pen', 100, now() + interval '1 day', '');`

// opened is an auction on this machine whose processes are replaced when they die.
func opened(t *testing.T, dsn string, env ...string) *keepertest.Guarded {
	t.Helper()
	g := keepertest.Guard(t, keeper.Config{})
	middle := freeport.Addr(t)
	g.Keep(env, "middle", "--name", "mt1", "--keeper", g.Socket, "--listen", middle, "--database", dsn)
	g.Keep(env, "front", "--keeper", g.Socket, "--listen", g.Addr, "--control", "127.0.0.1:0", "--middle", "mt1="+middle)
	return g
}

// dial connects as soon as somebody listens.
func dial(t *testing.T, addr string) *browser {
	t.Helper()
	for until := time.Now().Add(keepertest.Hang); ; time.Sleep(5 * time.Millisecond) {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			return browse(t, c)
		}
		if time.Now().After(until) {
			t.Fatal(err)
		}
	}
}

// Everything that there is to do, and what is said of it.
func TestAuction(t *testing.T) {
	dsn := pgtest.New(t, schema+stock)
	b := dial(t, opened(t, dsn).Addr)
	var anna, otto registered
	b.do(&anna, "register", "nickname", "anna")
	b.do(&otto, "register", "nickname", "otto")
	var pen listed
	b.do(&pen, "sell", "user", anna.User, "category", 1, "price", 500, "seconds", 3600, "name", "ink")
	var first, second placed
	b.do(&first, "bid", "user", otto.User, "item", pen.Item, "amount", 501)
	b.do(&second, "bid", "user", 2, "item", pen.Item, "amount", 700)
	if first.Bids != 1 || second.Bids != 2 {
		t.Errorf("bids: %+v, %+v", first, second)
	}
	var c said
	b.do(&c, "comment", "user", otto.User, "about", anna.User, "item", pen.Item, "rating", -2, "text", "slow")
	var d detail
	b.do(&d, "item", "item", pen.Item)
	if d.Top != 700 || d.Bids != 2 || !d.Open || len(d.Last) != 2 || d.Last[0] != (made{"bidder", 700}) || d.Seller != "anna" {
		t.Errorf("the item: %+v", d)
	}
	var p person
	b.do(&p, "user", "user", anna.User)
	if p.Rating != -2 || len(p.Comments) != 1 || p.Comments[0] != (remark{"otto", -2, "slow"}) {
		t.Errorf("the user: %+v", p)
	}
	var all []category
	b.do(&all, "categories")
	var offers []offer
	b.do(&offers, "list", "category", 1, "page", 0)
	if len(all) != 1 || all[0].Open != 2 || len(offers) != 2 || offers[0].Name != "ink" {
		t.Errorf("%+v, %+v", all, offers)
	}
	for _, no := range [][]any{
		{"register", "nickname", "anna"}, {"register"}, {"bid", "user", 2, "item", pen.Item, "amount", 700}, {"bid", "user", 2, "item", 99, "amount", 1},
		{"bid", "user", 99, "item", pen.Item, "amount", 900}, {"sell", "user", 1, "category", 9, "price", 1, "seconds", 9, "name", "x"},
		{"comment", "user", 1, "about", 2, "item", 1, "rating", 6, "text", "x"}, {"item", "item", "x"}, {"user", "user", 99}, {"nonsense"},
	} {
		b.ask(no[0].(string), no[1:]...)
		if r, _ := b.hear(); r.Refused == "" {
			t.Errorf("%v: %+v", no, r)
		}
	}
	b.do(&d, "item", "item", pen.Item)
	if d.Top != 700 || d.Bids != 2 {
		t.Errorf("after what was refused: %+v", d)
	}
}

// Either process dies at each point of its work on one of three requests, in make soak
// on each of them; each is done once, and what the client is told is what was done.
func TestExactlyOnce(t *testing.T) {
	dsn := pgtest.New(t, schema+stock)
	for i, point := range []string{"begun", "exported", "committed", "replied", "asked", "answered"} {
		for _, n := range []int{1 + i%3, 1 + (i+1)%3, 1 + (i+2)%3}[:lab.Count(1, 3)] {
			t.Run(fmt.Sprint(point, " ", n), func(t *testing.T) {
				pgtest.Exec(t, dsn, "DELETE FROM comments; DELETE FROM bids; DELETE FROM users WHERE id > 2; UPDATE items SET top = 100, bids = 0")
				b := dial(t, opened(t, dsn, fmt.Sprintf("%s=%s:%d", keepertest.DieAt, point, n)).Addr)
				exactlyOnce(t, dsn, b, fmt.Sprintf("u%d.%d", i, n))
			})
		}
	}
}

func exactlyOnce(t *testing.T, dsn string, b *browser, name string) {
	var u registered
	b.do(&u, "register", "nickname", name)
	var p placed
	b.do(&p, "bid", "user", u.User, "item", 1, "amount", 200)
	var c said
	b.do(&c, "comment", "user", u.User, "about", 1, "item", 1, "rating", 3, "text", "good")
	have := pgtest.Column[string](t, dsn, `SELECT format('%s user %s', nickname, id) FROM users WHERE id > 2
		UNION ALL SELECT format('bid %s of %s', id, amount) FROM bids UNION ALL SELECT format('comment %s by %s', id, author) FROM comments`)
	want := []string{fmt.Sprintf("%s user %d", u.Nickname, u.User), fmt.Sprintf("bid %d of 200", p.Bid), fmt.Sprintf("comment %d by %d", c.Comment, u.User)}
	if strings.Join(have, ", ") != strings.Join(want, ", ") {
		t.Errorf("the database has %q, the client was told %q", have, want)
	}
	if bids := pgtest.Column[int](t, dsn, "SELECT bids FROM items WHERE id = 1"); bids[0] != 1 {
		t.Errorf("the item has %d bids", bids[0])
	}
}

// Too old: PostgreSQL has forgotten what became of a bid's transaction. Neither a reply
// nor another try would be right, and the client is told by name.
func TestTooOld(t *testing.T) {
	dsn := pgtest.New(t, schema+stock)
	g, middle := keepertest.Guard(t, keeper.Config{}), freeport.Addr(t)
	args := []string{"middle", "--name", "mt1", "--keeper", g.Socket, "--listen", middle, "--database", dsn}
	first := g.Start([]string{keepertest.DieAt + "=exported:1"}, args...)
	g.Start(nil, "front", "--keeper", g.Socket, "--listen", g.Addr, "--control", "127.0.0.1:0", "--middle", "mt1="+middle)
	b := dial(t, g.Addr)
	b.ask("bid", "user", 2, "item", 1, "amount", 500)
	<-first.Done()
	pgtest.Forget(t)
	g.Start(nil, args...)
	if r, _ := b.hear(); !strings.Contains(r.Unknown, "it is too long ago") {
		t.Errorf("the client was told %+v", r)
	}
	var p placed
	b.do(&p, "bid", "user", 2, "item", 1, "amount", 600)
}
