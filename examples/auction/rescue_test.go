// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"lazystate/mtcp/keeper/keepertest"
)

// Front ends are told of the sessions that somebody waits for when their records are
// adopted, while those of the others are not; of all others when all is.
func TestWhoWaitsIsToldFirst(t *testing.T) {
	of := func(session string) record {
		return record{Request: request{Session: strings.Repeat(session, 16), Begins: 1, Kind: "list"}, Try: 1, Reply: reply{Refused: "no"}}
	}
	waited, other, late := of("ab"), of("cd"), make(chan struct{})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				var m message
				if err := receive(c, &m); err != nil || m.Adopt == nil {
					t.Errorf("%+v, %v", m, err)
					return
				}
				if slices.ContainsFunc(m.Adopt.Records, func(r record) bool { return r.Request.Session == other.Request.Session }) {
					<-late
				}
				if err := send(c, answer{Adopted: len(m.Adopt.Records)}); err != nil {
					t.Error(err)
				}
			}()
		}
	}()
	told := make(chan []string, 2)
	front := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, q *http.Request) {
		if q.FormValue("node") != "mt1" || q.FormValue("instead") != "mt2" {
			t.Errorf("%v", q.Form)
		}
		told <- q.Form["session"]
	}))
	defer front.Close()
	r := &rescue{dead: "mt1", adopts: node{"mt2", l.Addr().String()}, fronts: []string{front.Listener.Addr().String()}, dial: (&net.Dialer{}).DialContext,
		out: io.Discard, log: slog.New(slog.DiscardHandler), began: time.Now()}
	done := make(chan error, 1)
	go func() { done <- r.goOn(t.Context(), []record{waited, waited}, []record{other}) }()
	hear := func(want ...string) {
		t.Helper()
		select {
		case got := <-told:
			if !slices.Equal(got, want) {
				t.Errorf("the front end is told of %q, not %q", got, want)
			}
		case <-time.After(keepertest.Hang):
			t.Fatalf("it is not told of %q", want)
		}
	}
	hear(waited.Request.Session)
	close(late)
	hear()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
