// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
)

const (
	block    = 1 << 10 // sent at once
	snapshot = 8 << 10 // sent between two snapshots
	metaint  = 16000   // music between two titles
	mostHead = 4 << 10 // of a request
	late     = 5 * time.Second
)

// session is what play needs of a cbox.Conn.
type session interface {
	io.ReadWriter
	Import() ([]byte, bool)
	Export([]byte) error
}

// listener is where one is: its snapshot.
type listener struct {
	First  uint64 `json:"first"` // where in the music it began
	Sent   uint64 `json:"sent"`  // of the music
	Began  int64  `json:"began"` // when, in nanoseconds
	Titles bool   `json:"titles,omitempty"`
	Header bool   `json:"header,omitempty"` // is sent
}

func decode(b []byte) (l listener, err error) {
	if err := json.Unmarshal(b, &l); err != nil {
		return l, fmt.Errorf("snapshot of a listener: %w", err)
	}
	return l, nil
}

// play serves one listener.
func (s *station) play(c session) error {
	l, err := s.begin(c)
	if err != nil {
		return err
	}
	if !l.Header {
		if err := l.header(c); err != nil {
			return err
		}
	}
	for {
		if err := s.block(c, &l); err != nil {
			return err
		}
		if l.Sent%snapshot == 0 {
			if err := l.export(c); err != nil {
				return err
			}
		}
	}
}

// begin decides what a listener gets, or goes on with it.
func (s *station) begin(c session) (l listener, err error) {
	if b, ok := c.Import(); ok {
		return decode(b)
	}
	head, err := request(c)
	if err != nil {
		return l, err
	}
	now := time.Now()
	l = listener{First: s.on(now), Began: now.UnixNano(), Titles: bytes.Contains(bytes.ToLower(head), []byte("\r\nicy-metadata: 1\r\n"))}
	return l, l.export(c)
}

// request reads a request's header; what it asks for is not looked at.
func request(r io.Reader) ([]byte, error) {
	b := make([]byte, 0, mostHead)
	for !bytes.Contains(b, []byte("\r\n\r\n")) {
		n, err := r.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if err == nil && len(b) == cap(b) {
			err = fmt.Errorf("a request of more than %d bytes", len(b))
		}
		if err != nil {
			return nil, err
		}
	}
	return b, nil
}

func (l *listener) export(c session) error {
	b, err := json.Marshal(l)
	if err != nil {
		return err
	}
	return c.Export(b)
}

func (l *listener) header(w io.Writer) error {
	l.Header = true
	h := "HTTP/1.0 200 OK\r\nContent-Type: audio/mpeg\r\nCache-Control: no-cache\r\nicy-name: lazystate\r\n"
	if l.Titles {
		h += fmt.Sprintf("icy-metaint:%d\r\n", metaint)
	}
	_, err := io.WriteString(w, h+"\r\n")
	return err
}

// block sends the next block of music when it is its time.
func (s *station) block(w io.Writer, l *listener) error {
	time.Sleep(s.wait(l, time.Now()))
	for left := block - int(l.Sent%block); left > 0; {
		t, b := s.at(l.First + l.Sent)
		b = b[:min(len(b), left)]
		if l.Titles {
			b = b[:min(len(b), metaint-int(l.Sent%metaint))]
		}
		if _, err := w.Write(b); err != nil {
			return err
		}
		left -= len(b)
		l.Sent += uint64(len(b))
		if l.Titles && l.Sent%metaint == 0 {
			if _, err := w.Write(title(t.title)); err != nil {
				return err
			}
		}
	}
	return nil
}

// wait is how long the next block is not due yet. Another server's clock may be
// another: it is believed by a few seconds.
func (s *station) wait(l *listener, now time.Time) time.Duration {
	if l.Sent < s.burst {
		return 0
	}
	due := time.Unix(0, l.Began).Add(time.Duration(float64(l.Sent-s.burst) / s.rate * float64(time.Second)))
	d := due.Sub(now)
	if d > late || d < -late {
		l.Began -= int64(d) // from now on
		return 0
	}
	return d
}

// title is a title as players want it: a length in sixteens, and padding.
func title(name string) []byte {
	text := "StreamTitle='" + strings.ReplaceAll(name, "'", "") + "';"
	text = text[:min(len(text), 255*16)]
	n := (len(text) + 15) / 16
	b := make([]byte, 1+16*n)
	b[0] = byte(n)
	copy(b[1:], text)
	return b
}
