// SPDX-License-Identifier: Apache-2.0

package web_test

import (
	"context"
	"net/http"

	"lazystate/mtcp/keeper"
	"lazystate/mtcp/web"
)

// An ordinary server, as docs/sessions.md shows it; its processes may die.
func Example() {
	handler := http.FileServer(http.Dir("/srv/www"))
	_ = func(ctx context.Context, client *keeper.Client) error {
		l, err := client.Listen(ctx, "tcp", ":80", web.Boxes())
		if err != nil {
			return err
		}
		return web.Serve(&http.Server{Handler: handler}, l)
	}
}
