// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"lazystate/mtcp/cbox"
	"lazystate/mtcp/keeper"
)

// track is one file.
type track struct {
	title string
	data  []byte
}

// station plays its tracks one after another for ever.
type station struct {
	tracks []track
	length uint64 // of all
	rate   float64
	burst  uint64
	began  time.Time // position 0 was on the air
}

func load(files []string, kbit, burst int) (*station, error) {
	s := &station{rate: float64(kbit) * 1000 / 8, burst: uint64(max(0, burst)), began: time.Now()}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		if len(b) == 0 {
			return nil, fmt.Errorf("%s: nothing to play", name)
		}
		s.tracks = append(s.tracks, track{strings.TrimSuffix(filepath.Base(name), filepath.Ext(name)), b})
		s.length += uint64(len(b))
	}
	return s, nil
}

// at returns what follows position pos, up to the end of its track.
func (s *station) at(pos uint64) (t *track, rest []byte) {
	pos %= s.length
	for i := range s.tracks {
		t = &s.tracks[i]
		if pos < uint64(len(t.data)) {
			return t, t.data[pos:]
		}
		pos -= uint64(len(t.data))
	}
	panic("a position behind all tracks")
}

// on is the beginning of the track that is on the air at a time.
func (s *station) on(now time.Time) uint64 {
	pos := uint64(max(0, now.Sub(s.began).Seconds()) * s.rate)
	t, rest := s.at(pos)
	return pos - uint64(len(t.data)-len(rest))
}

// serve leaves its listeners to the keeper when ctx ends.
func (s *station) serve(ctx context.Context, socket, address string) error {
	k, err := keeper.Dial(socket, "audio")
	if err != nil {
		return err
	}
	l, err := k.Listen(ctx, "tcp", address, cbox.Config{})
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				ended <- err
				return
			}
			go func() {
				if c, ok := c.(*cbox.Conn); ok { // else it cannot move
					_ = s.play(c) // until its listener has enough, or it is elsewhere
				}
				_ = c.Close()
			}()
		}
	}()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		return nil
	}
}
