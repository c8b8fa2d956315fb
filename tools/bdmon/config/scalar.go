// SPDX-License-Identifier: Apache-2.0

package config

import (
	"strconv"
	"time"

	"github.com/goccy/go-yaml/ast"

	"lazystate/internal/confile"
)

// Limit is a number in the sensor's unit, or a duration.
type Limit uint64

// UnmarshalYAML takes 300 or 250ms.
func (l *Limit) UnmarshalYAML(n ast.Node) error {
	text := n.GetToken().Value
	if v, err := strconv.ParseUint(text, 10, 64); err == nil {
		*l = Limit(v)
		return nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return confile.Mistake(n, "limit "+strconv.Quote(text)+": want a number or a duration such as 250ms")
	}
	*l = Limit(d.Microseconds())
	return nil
}

// Duration is a time.Duration whose mistakes have a line and a column.
type Duration = confile.Duration

// Reset opts in to the reset of a machine that cannot be repaired in place.
type Reset bool

// UnmarshalYAML takes never or unrepairable.
func (r *Reset) UnmarshalYAML(n ast.Node) error {
	switch text := n.GetToken().Value; text {
	case "never":
		*r = false
	case "unrepairable":
		*r = true
	default:
		return confile.Mistake(n, "reset "+strconv.Quote(text)+": want never or unrepairable")
	}
	return nil
}
