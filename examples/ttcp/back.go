// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"strconv"

	"lazystate/mtcp/cbox"
	"lazystate/mtcp/keeper"
)

func uitoa(n uint64) string { return strconv.FormatUint(n, 10) }

// back is the second process: it writes the stream into the channel of each
// session that it is handed.
func back(ctx context.Context, cfg config) error {
	k, err := keeper.Dial(cfg.keeper, backName)
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() {
		for {
			p, err := k.Take()
			if err != nil {
				ended <- err
				return
			}
			s, err := cbox.Open(p.Region, p.Slot, k.Config(cbox.Config{}))
			if err != nil { // it is over, or another process has it
				_ = p.Region.File.Close()
				continue
			}
			go func() {
				_ = cfg.fill(s) // the client is gone, or the session
				_ = s.Close()
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

func (cfg config) fill(s *cbox.Session) error {
	ch := s.Channels()[0]
	if err := cfg.place(s).send(ch); err != nil {
		return err
	}
	return ch.CloseWrite()
}
