// SPDX-License-Identifier: Apache-2.0

package load

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Verdict is what Check finds. All but Done is empty where every client was told the
// truth, and each update was made once.
type Verdict struct {
	Done    int      // updates that clients were told of, and that are there
	Missing []string // told, and not there
	Twice   []string
	Phantom []string // there, and nobody was told, or was told no
	Broken  []string // sums that are not what they are sums of
	Errors  []error  // of clients
}

// Sound reports that nothing is wrong.
func (v *Verdict) Sound() bool {
	return len(v.Missing)+len(v.Twice)+len(v.Phantom)+len(v.Broken)+len(v.Errors) == 0
}

func (v *Verdict) String() string {
	return fmt.Sprintf("%d updates done; missing %q, twice %q, phantoms %q, wrong sums %q, errors %v", v.Done, v.Missing, v.Twice, v.Phantom, v.Broken, v.Errors)
}

// contents are what is unique in a row of each kind; what was there before the first
// request belongs to none.
var contents = map[string]string{
	"register": "SELECT nickname, id FROM users WHERE request <> ''",
	"sell":     "SELECT name, id FROM items WHERE request <> ''",
	"bid":      "SELECT amount::text, id FROM bids",
	"comment":  "SELECT text, id FROM comments",
}

// sums are rows whose sums are wrong.
var sums = []string{
	`SELECT 'item ' || i.id FROM items i LEFT JOIN bids b ON b.item = i.id GROUP BY i.id HAVING i.bids <> count(b.id) OR count(b.id) > 0 AND i.top <> max(b.amount)`,
	`SELECT 'user ' || u.id FROM users u LEFT JOIN comments k ON k.about = u.id GROUP BY u.id HAVING u.rating <> coalesce(sum(k.rating), 0)`,
}

// Check compares the database with what clients were told. A client with an error was
// told nothing, and its update may be there or not: the error itself is what is wrong.
func Check(ctx context.Context, dsn string, events []Event) (*Verdict, error) {
	c, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return nil, err
	}
	defer c.Close(ctx)
	v := &Verdict{}
	for kind, sql := range contents {
		have, err := rows(ctx, c, sql)
		if err != nil {
			return nil, err
		}
		v.compare(kind, have, events)
	}
	for i := range events {
		if events[i].Err != nil {
			v.Errors = append(v.Errors, events[i].Err)
		}
	}
	for _, sql := range sums {
		r, err := c.Query(ctx, sql)
		if err != nil {
			return nil, err
		}
		wrong, err := pgx.CollectRows(r, pgx.RowTo[string])
		if err != nil {
			return nil, err
		}
		v.Broken = append(v.Broken, wrong...)
	}
	return v, nil
}

// rows are the ids of all rows with a content.
func rows(ctx context.Context, c *pgx.Conn, sql string) (map[string][]int64, error) {
	r, err := c.Query(ctx, sql)
	if err != nil {
		return nil, err
	}
	all := map[string][]int64{}
	var key string
	var id int64
	_, err = pgx.ForEachRow(r, []any{&key, &id}, func() error {
		all[key] = append(all[key], id)
		return nil
	})
	return all, err
}

func (v *Verdict) compare(kind string, have map[string][]int64, events []Event) {
	for i := range events {
		e := &events[i]
		if e.Kind != kind {
			continue
		}
		ids := have[e.Key]
		delete(have, e.Key)
		what := fmt.Sprintf("%s %s", kind, e.Key)
		switch {
		case len(ids) > 1:
			v.Twice = append(v.Twice, what)
		case e.Err != nil:
		case e.Refused && len(ids) == 1:
			v.Phantom = append(v.Phantom, what)
		case !e.Refused && (len(ids) == 0 || ids[0] != e.ID):
			v.Missing = append(v.Missing, what)
		case !e.Refused:
			v.Done++
		}
	}
	for key, ids := range have {
		v.Phantom = append(v.Phantom, fmt.Sprintf("%s %s: %v", kind, key, ids))
	}
}
