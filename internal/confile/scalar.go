// SPDX-License-Identifier: Apache-2.0

package confile

import (
	"strconv"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
)

// Duration is a time.Duration whose mistakes have a line and a column.
type Duration time.Duration

// UnmarshalYAML takes what time.ParseDuration takes, from 0 on.
func (d *Duration) UnmarshalYAML(n ast.Node) error {
	text := n.GetToken().Value
	v, err := time.ParseDuration(text)
	if err != nil || v < 0 {
		return Mistake(n, strconv.Quote(text)+": want a duration such as 250ms")
	}
	*d = Duration(v)
	return nil
}

// Mistake is an error that Decode shows with line, column and excerpt.
func Mistake(n ast.Node, text string) error {
	return &yaml.SyntaxError{Message: text, Token: n.GetToken()}
}
