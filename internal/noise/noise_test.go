// SPDX-License-Identifier: Apache-2.0

package noise

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// logger writes lines without their time.
func logger(burst int) (*slog.Logger, *Handler, *bytes.Buffer) {
	b := &bytes.Buffer{}
	h := New(slog.NewTextHandler(b, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}), burst)
	return slog.New(h), h, b
}

func lines(b *bytes.Buffer) []string {
	defer b.Reset()
	return strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
}

func TestBurstThenOneAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, _, b := logger(2)
		for i := range 60 * 100 { // a hundred minutes of one a second
			log.With("event", "exceeded").Warn("event", "n", i)
			time.Sleep(time.Second)
		}
		got := lines(b)
		if len(got) != 101 {
			t.Errorf("%d lines, want 2 at once and 99 later", len(got))
		}
		want := []string{
			"level=WARN msg=event event=exceeded n=0", "level=WARN msg=event event=exceeded n=1",
			"level=WARN msg=event event=exceeded n=60 left_out=58",
		}
		if d := cmp.Diff(want, got[:3]); d != "" {
			t.Error(d)
		}
	})
}

// Of one thing much is said; of another each word counts.
func TestThingsAreApart(t *testing.T) {
	log, _, b := logger(1)
	for range 1000 {
		log.With("event", "exceeded").Warn("event")
	}
	log.With("event", "panicked").Warn("event")
	log.WithGroup("path").Warn("event")
	log.Warn("another message")
	if n := len(lines(b)); n != 4 {
		t.Errorf("%d lines of four things", n)
	}
}

// The last word of a log is how things are.
func TestFlushTellsTheLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, h, b := logger(1)
		for i := range 10 {
			log.With("target", "t1").Info("event", "n", i)
		}
		if err := h.Flush(time.Now()); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff([]string{"level=INFO msg=event target=t1 n=0"}, lines(b)); d != "" {
			t.Error(d)
		}
		time.Sleep(Every)
		for range 2 { // the second has nothing left to tell
			if err := h.Flush(time.Now()); err != nil {
				t.Fatal(err)
			}
		}
		if d := cmp.Diff([]string{"level=INFO msg=event target=t1 n=9 left_out=8"}, lines(b)); d != "" {
			t.Error(d)
		}
	})
}

// Who knocks under ever new names gets a bounded part of memory and of the log.
func TestNamesWithoutEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, h, b := logger(1)
		for i := range 20 * most {
			log.With("peer", fmt.Sprint(i)).Warn("knocks")
		}
		if n := len(lines(b)); n > most+1 || len(h.said) > most+1 {
			t.Errorf("%d lines, %d things remembered", n, len(h.said))
		}
		time.Sleep(Every)
		log.With("peer", "friend").Warn("knocks")
		if d := cmp.Diff([]string{"level=WARN msg=knocks peer=friend"}, lines(b)); d != "" {
			t.Errorf("who comes later is not heard: %s", d)
		}
	})
}

// A clock that is set back makes nobody dumb for longer than a minute.
func TestClockSetBack(t *testing.T) {
	l := New(slog.DiscardHandler, 1)
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	ask := func(at time.Time) bool {
		_, ok := l.take("x", slog.Record{Time: at}, nil)
		return ok
	}
	if !ask(now) || ask(now) || ask(now.Add(-time.Hour)) || !ask(now.Add(-time.Hour+Every)) {
		t.Error("not one a minute")
	}
}
