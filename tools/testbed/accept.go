// SPDX-License-Identifier: Apache-2.0

package testbed

import (
	"context"
	"errors"

	"lazystate/mtcp/cbox"
	"lazystate/mtcp/keeper"
)

// Accept is a bench's own server: each session of its service, new or moved here, is
// served by a goroutine of its own. Listen is an address with its port, cfg that of the
// sessions' boxes. It returns no nil error.
func Accept(socket, service, listen string, cfg cbox.Config, serve func(*cbox.Conn)) error {
	k, err := keeper.Dial(socket, service)
	if err != nil {
		return err
	}
	l, err := k.Listen(context.Background(), "tcp", listen, cfg)
	if err != nil {
		return err
	}
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		s, ok := c.(*cbox.Conn)
		if !ok {
			return errors.New("a connection without a box")
		}
		go serve(s)
	}
}
