// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	_ "embed"
	"fmt"

	"github.com/jackc/pgx/v5"
	ucli "github.com/urfave/cli/v2"

	"lazystate/internal/cli"
)

//go:embed schema.sql
var schema string

// size is of what an auction begins with.
type size struct{ categories, users, items int }

// fill makes the tables, and what is in them before the first request: whose rows
// belong to no request.
func fill(ctx context.Context, dsn string, n size) error {
	c, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer c.Close(ctx)
	for _, part := range []struct {
		sql  string
		args []any
	}{
		{schema, nil},
		{`INSERT INTO categories (name) SELECT 'category ' || i FROM generate_series(1, $1::int) i`, []any{n.categories}},
		{`INSERT INTO users (nickname, request) SELECT 'user ' || i, '' FROM generate_series(1, $1::int) i`, []any{n.users}},
		{`INSERT INTO items (seller, category, name, top, ends, request)
			SELECT 1 + i % $2::int, 1 + i % $3::int, 'item ' || i, 100, now() + interval '7 days', '' FROM generate_series(1, $1::int) i`, []any{n.items, n.users, n.categories}},
	} {
		if _, err := c.Exec(ctx, part.sql, part.args...); err != nil {
			return fmt.Errorf("%.60s: %w", part.sql, err)
		}
	}
	return nil
}

func initCommand() *ucli.Command {
	return &ucli.Command{
		Name: "init", Usage: "makes the tables of an empty database",
		Flags: []ucli.Flag{
			&ucli.StringFlag{Name: "database", EnvVars: []string{"MTCP_DATABASE"}, Required: true, Usage: "PostgreSQL's `connection string`"},
			&ucli.IntFlag{Name: "categories", Value: 20}, &ucli.IntFlag{Name: "users", Value: 1000}, &ucli.IntFlag{Name: "items", Value: 2000},
		},
		Action: func(c *ucli.Context) error {
			n := size{c.Int("categories"), c.Int("users"), c.Int("items")}
			if n.categories < 1 || n.users < 1 || n.items < 0 {
				return cli.Usagef("init: at least one category and one user")
			}
			return fill(c.Context, c.String("database"), n)
		},
	}
}
