// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/rand"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"lazystate/mtcp/web"
)

// frontService is what processes call themselves at a keeper.
const frontService = "auction-front"

// answering is how long a client waits at most: so much may a failover take.
const answering = 5 * time.Minute

type frontConfig struct {
	keeper, listen, control string
	notes                   string // file that has what the monitor has said
	middle                  []node
}

// front is a front end's process.
type front struct {
	tier     *tier
	asked    sync.Map // net.Conn to *asker
	ordinary bool     // connections without boxes are served, to compare
	log      *slog.Logger
}

//go:embed page.html
var page []byte

// serveFront serves until ctx ends.
func serveFront(ctx context.Context, cfg frontConfig, log *slog.Logger) error {
	t, err := newTier(cfg.middle, cfg.notes)
	if err != nil {
		return err
	}
	f := &front{tier: t, log: log, ordinary: cfg.keeper == ""}
	l, err := listen(ctx, cfg.keeper, frontService, cfg.listen, web.Boxes())
	if err != nil {
		return err
	}
	ctl, err := net.Listen("tcp", cfg.control)
	if err != nil {
		return err
	}
	ended := make(chan error, 2)
	go func() { ended <- web.Serve(f.server(), l) }()
	go func() { ended <- http.Serve(ctl, f.controls()) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		return nil // the keeper has the sessions
	}
}

func (f *front) server() *http.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("/api/{kind}", f.serve)
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write(page)
	})
	return &http.Server{Handler: mux, ConnContext: f.begin, ConnState: f.end}
}

type askerKey struct{}

func (f *front) begin(ctx context.Context, c net.Conn) context.Context {
	var id [16]byte
	if s, ok := c.(*web.Conn); ok {
		id = s.ID()
	} else {
		rand.Read(id[:]) // never fails
	}
	a := &asker{tier: f.tier, session: hex.EncodeToString(id[:]), log: f.log}
	f.asked.Store(c, a)
	return context.WithValue(ctx, askerKey{}, a)
}

func (f *front) end(c net.Conn, s http.ConnState) {
	if s != http.StateClosed {
		return
	}
	if a, ok := f.asked.LoadAndDelete(c); ok {
		a.(*asker).close()
	}
}

// serve passes a request on. The reply is a choice, of the moment and of a database:
// it is in the session's box before anybody sees it, and whoever goes on from there
// asks again only for what is not (§3.6.7).
func (f *front) serve(w http.ResponseWriter, r *http.Request) {
	s := web.From(r.Context())
	if s == nil && !f.ordinary {
		http.Error(w, "this connection has no session", http.StatusServiceUnavailable)
		return
	}
	a := r.Context().Value(askerKey{}).(*asker)
	q := a.request(s)
	q.Kind = r.PathValue("kind")
	w.Header().Set("Request-Id", q.id())
	var err error
	if q.Args, err = arguments(w, r); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	text, err := web.Once(r, func() []byte { return f.ask(a, q) })
	if err != nil { // the session is elsewhere, or over
		panic(http.ErrAbortHandler)
	}
	at("answered")
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status(text))
	_, _ = w.Write(append(text, '\n'))
}

// ask has the reply, or says why there is none.
func (f *front) ask(a *asker, q *request) []byte {
	ctx, cancel := context.WithTimeout(context.Background(), answering)
	defer cancel()
	rep, err := a.ask(ctx, q)
	if err != nil {
		f.log.Error("no middle tier answers", "request", q.id(), "err", err)
		rep = reply{Unknown: "no middle tier answers"}
	}
	text, err := json.Marshal(rep)
	if err != nil { // it has just been decoded
		panic(err)
	}
	return text
}

// status is one that has no client try again by itself what may have been done.
func status(text []byte) int {
	var rep reply
	_ = json.Unmarshal(text, &rep)
	switch {
	case rep.Result != nil:
		return http.StatusOK
	case rep.Unavailable != "":
		return http.StatusServiceUnavailable
	}
	return http.StatusConflict
}

// arguments are those of a query or of a form, the first of each name.
func arguments(w http.ResponseWriter, r *http.Request) (map[string]string, error) {
	r.Body = http.MaxBytesReader(w, r.Body, mostArgs)
	if err := r.ParseForm(); err != nil {
		return nil, err
	}
	args, n := map[string]string{}, 0
	for name, values := range r.Form {
		args[name] = values[0]
		n += len(name) + len(values[0])
	}
	if n > mostArgs {
		return nil, errLong
	}
	return args, nil
}
