// SPDX-License-Identifier: Apache-2.0

package load

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strconv"
)

// Mix is how often what is asked for, in a hundred.
type Mix map[string]int

// Mixes. RUBiS has one that browses alone, and one of which 15 in a hundred write; the
// consistency runs of §3.9.4 have one kind of update each.
var (
	Browsing      = Mix{"categories": 10, "list": 40, "item": 40, "user": 10}
	Bidding       = Mix{"categories": 8, "list": 34, "item": 35, "user": 8, "bid": 8, "comment": 3, "sell": 2, "register": 2}
	Registrations = Mix{"register": 100}
	Bids          = Mix{"bid": 100}
)

// Named are the mixes by their names.
var Named = map[string]Mix{"browsing": Browsing, "bidding": Bidding, "registrations": Registrations, "bids": Bids}

// order has a seed mean the same each time.
var order = []struct {
	kind string
	make func(*client) ask
}{
	{"categories", categories}, {"list", list}, {"item", item}, {"user", user},
	{"bid", bid}, {"comment", comment}, {"sell", sell}, {"register", register},
}

func (m Mix) draw(c *client) ask {
	sum := 0
	for _, k := range order {
		sum += m[k.kind]
	}
	at := c.rng.IntN(sum)
	for _, k := range order {
		if at -= m[k.kind]; at < 0 {
			q := k.make(c)
			q.kind = k.kind
			return q
		}
	}
	panic("load: a mix of nothing")
}

func one(rng *rand.Rand, n int) string { return strconv.Itoa(1 + rng.IntN(n)) }

// unique is what no other request says.
func (c *client) unique() string {
	return fmt.Sprintf("%s %d", c.l.Name, c.l.next.Add(1))
}

func args(all ...string) url.Values {
	v := url.Values{}
	for i := 0; i < len(all); i += 2 {
		v.Set(all[i], all[i+1])
	}
	return v
}

// says wants some members of a result to be what was asked, and returns another.
func says(id string, want map[string]string) func(json.RawMessage) (int64, error) {
	return func(b json.RawMessage) (n int64, err error) {
		var got map[string]any
		d := json.NewDecoder(bytes.NewReader(b))
		d.UseNumber()
		if err := d.Decode(&got); err != nil {
			return 0, err
		}
		for name, v := range want {
			if fmt.Sprint(got[name]) != v {
				return 0, fmt.Errorf("%s is %v, not %s", name, got[name], v)
			}
		}
		if n, err = strconv.ParseInt(fmt.Sprint(got[id]), 10, 64); err == nil && n < 1 {
			err = fmt.Errorf("%s is %d", id, n)
		}
		return n, err
	}
}

// isList wants so many elements at least.
func isList(least int) func(json.RawMessage) (int64, error) {
	return func(b json.RawMessage) (int64, error) {
		var all []json.RawMessage
		err := json.Unmarshal(b, &all)
		if err == nil && len(all) < least {
			err = fmt.Errorf("%d of %d", len(all), least)
		}
		return 0, err
	}
}

func categories(c *client) ask {
	return ask{args: args(), check: isList(c.l.Size.Categories)}
}

func list(c *client) ask {
	return ask{args: args("category", one(c.rng, c.l.Size.Categories), "page", strconv.Itoa(c.rng.IntN(3))), check: isList(0)}
}

func item(c *client) ask {
	id := one(c.rng, c.l.Size.Items)
	return ask{args: args("item", id), check: says("id", map[string]string{"id": id})}
}

func user(c *client) ask {
	id := one(c.rng, c.l.Size.Users)
	return ask{args: args("user", id), check: says("user", map[string]string{"user": id})}
}

// bid: amounts rise, so that most are higher than those before; one that another has
// overtaken is refused.
func bid(c *client) ask {
	u, i, amount := one(c.rng, c.l.Size.Users), one(c.rng, c.l.Size.Items), strconv.FormatInt(c.l.bid(), 10)
	return ask{args: args("user", u, "item", i, "amount", amount), key: amount, refusable: true, check: says("bid", map[string]string{"bidder": u, "item": i, "amount": amount})}
}

func comment(c *client) ask {
	about, text := one(c.rng, c.l.Size.Users), c.unique()
	return ask{args: args("user", one(c.rng, c.l.Size.Users), "about", about, "item", one(c.rng, c.l.Size.Items), "rating", strconv.Itoa(c.rng.IntN(11)-5), "text", text),
		key: text, check: says("comment", map[string]string{"about": about})}
}

func sell(c *client) ask {
	name := c.unique()
	return ask{args: args("user", one(c.rng, c.l.Size.Users), "category", one(c.rng, c.l.Size.Categories), "price", "100", "seconds", "86400", "name", name),
		key: name, check: says("item", nil)}
}

func register(c *client) ask {
	name := c.unique()
	return ask{args: args("nickname", name), key: name, check: says("user", map[string]string{"nickname": name})}
}
