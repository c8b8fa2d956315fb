// SPDX-License-Identifier: Apache-2.0

package migrate

import "time"

// crowd says when a table is looked through for what is over: when it has doubled since,
// so that whoever adds one pays for a few. One that may not grow any more, and is full of
// what lives, is looked through only once in a while.
type crowd struct {
	least, most int // most 0: no end
	next        int
	at          time.Time // of the last look
}

// crowdPause is between two looks at a table that is full.
const crowdPause = 10 * time.Second

// due: there are n, and one more is to come.
func (c *crowd) due(n int, now time.Time) bool {
	if n < max(c.least, c.next) {
		return false
	}
	return c.most == 0 || n < c.most || now.Sub(c.at) >= crowdPause
}

// looked: n are left.
func (c *crowd) looked(n int, now time.Time) {
	c.next, c.at = 2*n, now
	if c.most > 0 {
		c.next = min(c.most, c.next)
	}
}
