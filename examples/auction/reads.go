// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// reads are what changes nothing.
var reads = map[string]work{"categories": categories, "list": list, "item": item, "user": user}

type category struct {
	ID   int64  `json:"id"`
	Name string `json:"name"`
	Open int    `json:"open"` // auctions
}

func categories(ctx context.Context, c querier, q *request) (any, error) {
	rows, err := c.Query(ctx, `SELECT k.id, k.name, count(i.id) FROM categories k LEFT JOIN items i ON i.category = k.id AND i.ends > $1
		GROUP BY k.id ORDER BY k.id`, q.admitted())
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[category])
}

type offer struct {
	ID   int64     `json:"id"`
	Name string    `json:"name"`
	Top  int64     `json:"top"`
	Bids int       `json:"bids"`
	Ends time.Time `json:"ends"`
}

const pageRows = 20

func list(ctx context.Context, c querier, q *request) (any, error) {
	n, err := q.numbers("category", "page")
	if err != nil {
		return nil, err
	}
	if n[1] < 0 || n[1] > 1e6 {
		return nil, refusef("no page %d", n[1])
	}
	rows, err := c.Query(ctx, `SELECT id, name, top, bids, ends FROM items WHERE category = $1 AND ends > $2 ORDER BY ends, id LIMIT $3 OFFSET $4`,
		n[0], q.admitted(), pageRows, n[1]*pageRows)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[offer])
}

type detail struct {
	offer
	Seller string `json:"seller"`
	Open   bool   `json:"open"`
	Last   []made `json:"last"` // bids, the highest first
}

type made struct {
	By     string `json:"by"`
	Amount int64  `json:"amount"`
}

func item(ctx context.Context, c querier, q *request) (any, error) {
	id, err := q.number("item")
	if err != nil {
		return nil, err
	}
	var d detail
	err = c.QueryRow(ctx, `SELECT i.id, i.name, i.top, i.bids, i.ends, i.ends > $2, u.nickname FROM items i JOIN users u ON u.id = i.seller WHERE i.id = $1`,
		id, q.admitted()).Scan(&d.ID, &d.Name, &d.Top, &d.Bids, &d.Ends, &d.Open, &d.Seller)
	if err != nil {
		return nil, none(err, "no item %d", id)
	}
	rows, err := c.Query(ctx, `SELECT u.nickname, b.amount FROM bids b JOIN users u ON u.id = b.bidder WHERE b.item = $1 ORDER BY b.amount DESC LIMIT $2`, id, pageRows)
	if err != nil {
		return nil, err
	}
	d.Last, err = pgx.CollectRows(rows, pgx.RowToStructByPos[made])
	return d, err
}

type person struct {
	User     int64    `json:"user"`
	Nickname string   `json:"nickname"`
	Rating   int64    `json:"rating"`
	Comments []remark `json:"comments"`
}

type remark struct {
	By     string `json:"by"`
	Rating int    `json:"rating"`
	Text   string `json:"text"`
}

func user(ctx context.Context, c querier, q *request) (any, error) {
	var p person
	id, err := q.number("user")
	if err != nil {
		return nil, err
	}
	err = c.QueryRow(ctx, `SELECT id, nickname, rating FROM users WHERE id = $1`, id).Scan(&p.User, &p.Nickname, &p.Rating)
	if err != nil {
		return nil, none(err, "no user %d", id)
	}
	rows, err := c.Query(ctx, `SELECT u.nickname, k.rating, k.text FROM comments k JOIN users u ON u.id = k.author WHERE k.about = $1 ORDER BY k.id DESC LIMIT $2`, id, pageRows)
	if err != nil {
		return nil, err
	}
	p.Comments, err = pgx.CollectRows(rows, pgx.RowToStructByPos[remark])
	return p, err
}
