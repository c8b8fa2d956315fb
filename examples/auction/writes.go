// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"time"
)

// writes are what changes something: each inserts one row that names the request.
var writes = map[string]work{"register": register, "sell": sell, "bid": bid, "comment": comment}

// registered, listed, placed and said are what clients are told.
type registered struct {
	User     int64  `json:"user"`
	Nickname string `json:"nickname"`
}

func register(ctx context.Context, c querier, q *request) (any, error) {
	nick, err := q.text("nickname", 40)
	if err != nil {
		return nil, err
	}
	var lock string // two at once would both find it free
	err = c.QueryRow(ctx, `SELECT pg_advisory_xact_lock(hashtext($1))::text`, nick).Scan(&lock)
	if err != nil {
		return nil, err
	}
	var taken bool
	err = c.QueryRow(ctx, `SELECT EXISTS (SELECT FROM users WHERE nickname = $1)`, nick).Scan(&taken)
	if err == nil && taken {
		err = refusef("nickname %q is taken", nick)
	}
	if err != nil {
		return nil, err
	}
	out := registered{Nickname: nick}
	err = c.QueryRow(ctx, `INSERT INTO users (nickname, request) VALUES ($1, $2) RETURNING id`, nick, q.id()).Scan(&out.User)
	return out, err
}

type listed struct {
	Item int64     `json:"item"`
	Ends time.Time `json:"ends"`
}

const longest = 30 * 24 * 3600 // seconds that an auction may last

func sell(ctx context.Context, c querier, q *request) (any, error) {
	n, err := q.numbers("user", "category", "price", "seconds")
	if err != nil {
		return nil, err
	}
	name, err := q.text("name", 80)
	if err != nil {
		return nil, err
	}
	if n[2] < 0 || n[3] <= 0 || n[3] > longest {
		return nil, refusef("a price of %d cents, %d seconds", n[2], n[3])
	}
	out := listed{Ends: q.admitted().Add(time.Duration(n[3]) * time.Second).UTC()}
	err = c.QueryRow(ctx, `INSERT INTO items (seller, category, name, top, ends, request)
		SELECT u.id, k.id, $3, $4, $5, $6 FROM users u, categories k WHERE u.id = $1 AND k.id = $2 RETURNING id`,
		n[0], n[1], name, n[2], out.Ends, q.id()).Scan(&out.Item)
	return out, none(err, "no user %d, or no category %d", n[0], n[1])
}

type placed struct {
	Bid    int64 `json:"bid"`
	Item   int64 `json:"item"`
	Bidder int64 `json:"bidder"`
	Amount int64 `json:"amount"`
	Bids   int   `json:"bids"` // of the item, with this one
}

// bid: what a front end admitted before the auction closed counts, however late it
// comes here.
func bid(ctx context.Context, c querier, q *request) (any, error) {
	n, err := q.numbers("user", "item", "amount")
	if err != nil {
		return nil, err
	}
	out := placed{Bidder: n[0], Item: n[1], Amount: n[2]}
	err = c.QueryRow(ctx, `UPDATE items SET top = $2, bids = bids + 1 WHERE id = $1 AND top < $2 AND ends > $3 RETURNING bids`,
		out.Item, out.Amount, q.admitted()).Scan(&out.Bids)
	if err != nil {
		return nil, none(err, "item %d is not there, closed, or has a bid of %d or more", out.Item, out.Amount)
	}
	err = c.QueryRow(ctx, `INSERT INTO bids (bidder, item, amount, admitted, request)
		SELECT id, $2, $3, $4, $5 FROM users WHERE id = $1 RETURNING id`, out.Bidder, out.Item, out.Amount, q.admitted(), q.id()).Scan(&out.Bid)
	return out, none(err, "no user %d", out.Bidder)
}

type said struct {
	Comment int64 `json:"comment"`
	About   int64 `json:"about"`
	Rating  int64 `json:"rating"` // of whom it is about, with this one
}

func comment(ctx context.Context, c querier, q *request) (any, error) {
	n, err := q.numbers("user", "about", "item", "rating")
	if err != nil {
		return nil, err
	}
	text, err := q.text("text", 500)
	if err != nil {
		return nil, err
	}
	if n[3] < -5 || n[3] > 5 {
		return nil, refusef("a rating of %d, from -5 to 5 there are", n[3])
	}
	out := said{About: n[1]}
	err = c.QueryRow(ctx, `INSERT INTO comments (author, about, item, rating, text, request)
		SELECT a.id, b.id, i.id, $4, $5, $6 FROM users a, users b, items i WHERE a.id = $1 AND b.id = $2 AND i.id = $3 RETURNING id`,
		n[0], n[1], n[2], n[3], text, q.id()).Scan(&out.Comment)
	if err != nil {
		return nil, none(err, "no users %d and %d, or no item %d", n[0], n[1], n[2])
	}
	err = c.QueryRow(ctx, `UPDATE users SET rating = rating + $2 WHERE id = $1 RETURNING rating`, n[1], n[3]).Scan(&out.Rating)
	return out, err
}
