// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/cgi"
	"path/filepath"

	"lazystate/mtcp/keeper"
	"lazystate/mtcp/web"
)

type config struct{ keeper, listen, root, cgi string }

// serve returns when ctx ends. It closes no connection: the keeper has them,
// and the next process goes on.
func serve(ctx context.Context, cfg config) error {
	l, err := listen(ctx, cfg)
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- web.Serve(&http.Server{Handler: site(cfg)}, l) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		return nil
	}
}

func listen(ctx context.Context, cfg config) (net.Listener, error) {
	if cfg.keeper == "" {
		return net.Listen("tcp", cfg.listen)
	}
	k, err := keeper.Dial(cfg.keeper, "web")
	if err != nil {
		return nil, err
	}
	return k.Listen(ctx, "tcp", cfg.listen, web.Boxes())
}

func site(cfg config) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", http.FileServer(http.Dir(cfg.root)))
	mux.HandleFunc("/lottery", lottery)
	if cfg.cgi != "" {
		mux.Handle("/cgi-bin/{name}", web.Hold(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			h := cgi.Handler{Path: filepath.Join(cfg.cgi, filepath.Base(r.PathValue("name"))), Root: "/cgi-bin/", Dir: cfg.cgi}
			h.ServeHTTP(w, r)
		})))
	}
	return mux
}

// lottery shows one number twice.
func lottery(w http.ResponseWriter, r *http.Request) {
	number, err := web.Once(r, func() []byte {
		n, _ := rand.Int(rand.Reader, big.NewInt(1e18))
		return []byte(n.String())
	})
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	fmt.Fprintf(w, "%s\n", number)
	_ = http.NewResponseController(w).Flush()
	fmt.Fprintf(w, "%s\n", number)
}
