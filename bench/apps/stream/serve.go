// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"
)

// serve gives every connection one chunk each interval until ctx ends.
func serve(ctx context.Context, l net.Listener, chunk []byte, every time.Duration) error {
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	var streams sync.WaitGroup
	defer streams.Wait()
	for {
		c, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		} else if err != nil {
			return err
		}
		streams.Go(func() { stream(ctx, c, chunk, every) })
	}
}

// stream ends when the client goes, or stays behind for 5 s.
func stream(ctx context.Context, c net.Conn, chunk []byte, every time.Duration) {
	defer c.Close()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		c.SetWriteDeadline(time.Now().Add(5 * time.Second))
		if _, err := c.Write(chunk); err != nil {
			return
		}
	}
}
