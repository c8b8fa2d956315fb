// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"strings"
	"testing"

	"lazystate/examples/outcome/pgtest"
)

// The load finds nothing wrong with an auction, and a row that nobody was told of.
func TestLoadCommand(t *testing.T) {
	dsn := pgtest.New(t, "")
	var out, errs bytes.Buffer
	if code := run(t.Context(), []string{"auction", "init", "--database", dsn, "--categories", "2", "--users", "5", "--items", "5"}, nil, &out, &errs); code != 0 {
		t.Fatal(errs.String())
	}
	addr := opened(t, dsn).Addr
	_ = dial(t, addr).Close()
	args := []string{"auction", "load", "--front", addr, "--database", dsn, "--clients", "3", "--for", "1s", "--think", "0.005", "--visit", "5"}
	if code := run(t.Context(), args, nil, &out, &errs); code != 0 || !strings.Contains(out.String(), "updates done") {
		t.Errorf("exit %d: %s%s", code, out.String(), errs.String())
	}
	pgtest.Exec(t, dsn, "DELETE FROM comments; DELETE FROM bids; DELETE FROM items WHERE request <> ''; DELETE FROM users WHERE request <> ''; UPDATE items SET top = 100, bids = 0; UPDATE users SET rating = 0")
	pgtest.Exec(t, dsn, "INSERT INTO users (nickname, request) VALUES ('a phantom', 'x')")
	out.Reset()
	if code := run(t.Context(), args, nil, &out, &errs); code == 0 || !strings.Contains(out.String(), "a phantom") {
		t.Errorf("exit %d with a phantom: %s", code, out.String())
	}
}
