// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"lazystate/mtcp/cbox"
	"lazystate/mtcp/keeper"
	"lazystate/mtcp/web"
)

const (
	backName = "shop-back"
	mostLine = 1000 // bytes of a request or a reply
)

// front serves HTTP until ctx ends, and then leaves its sessions to the keeper.
func front(ctx context.Context, socket, listen string) error {
	k, err := keeper.Dial(socket, "shop-front")
	if err != nil {
		return err
	}
	boxes := web.Boxes()
	boxes.Processes, boxes.Channels, boxes.Ring = 2, 1, 8<<10
	l, err := k.Listen(ctx, "tcp", listen, boxes)
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: http.HandlerFunc(buy), ConnContext: func(ctx context.Context, c net.Conn) context.Context {
		return context.WithValue(ctx, backKey{}, &backEnd{keeper: k})
	}}
	ended := make(chan error, 1)
	go func() { ended <- web.Serve(srv, l) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		return nil
	}
}

// backEnd is a session's channel to its back end.
type backEnd struct {
	keeper *keeper.Client
	once   sync.Once
	ch     *cbox.Channel
	err    error
}

type backKey struct{}

// of associates the session with a back end; after a death or a move, again.
func (b *backEnd) of(s *web.Conn) (*cbox.Channel, error) {
	b.once.Do(func() {
		child, err := s.Associate(backName, 1)
		if err == nil {
			err = b.keeper.Hand(s.Session, child)
		}
		if b.err = err; err == nil {
			b.ch = child.Channels[0]
		}
	})
	return b.ch, b.err
}

// buy passes an order on. What it does follows from what it reads, here and in
// the channel, so it needs no snapshot of its own.
func buy(w http.ResponseWriter, r *http.Request) {
	order := url.Values{"item": {r.FormValue("item")}, "n": {r.FormValue("n")}}.Encode()
	if r.Method != http.MethodPost || len(order) > mostLine-1 {
		http.Error(w, "POST an item and a number", http.StatusBadRequest)
		return
	}
	s := web.From(r.Context())
	if s == nil {
		http.Error(w, "this connection has no session", http.StatusServiceUnavailable)
		return
	}
	reply, err := ask(r.Context().Value(backKey{}).(*backEnd), s, order)
	if err != nil { // the session is elsewhere, or over
		panic(http.ErrAbortHandler)
	}
	at("answered")
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if strings.HasPrefix(reply, unknown) {
		w.WriteHeader(http.StatusConflict) // of which no client thinks that trying again may help
	}
	fmt.Fprintln(w, reply)
}

func ask(b *backEnd, s *web.Conn, order string) (string, error) {
	ch, err := b.of(s)
	if err != nil {
		return "", err
	}
	if _, err := io.WriteString(ch, order+"\n"); err != nil {
		return "", err
	}
	at("asked")
	return readLine(ch)
}

// readLine reads a line. The other end says one, and waits for an answer:
// nothing is read ahead.
func readLine(r io.Reader) (string, error) {
	b := make([]byte, 0, 2*mostLine)
	for {
		n, err := r.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if i := bytes.IndexByte(b, '\n'); i >= 0 {
			return string(b[:i]), nil
		}
		if err == nil && len(b) == cap(b) {
			err = fmt.Errorf("a line of more than %d bytes", len(b))
		}
		if err != nil {
			return "", err
		}
	}
}
