// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"time"

	"lazystate/dsm/daemon"
	"lazystate/dsm/store"
	"lazystate/dsm/transport"
	"lazystate/internal/pause"
	"lazystate/tools/dsmd/status"
)

const reportEvery = time.Second

// report tells the run's folder how the node is, until ctx ends, and then a last
// time. That it cannot is said once.
func (n *node) report(ctx context.Context, d *daemon.Daemon, disk *store.Store, network *transport.Transport) {
	began, said := time.Now(), false
	for {
		err := status.Write(n.settings.Dir, status.Of(n.cfg.Core, began, d.Status(), disk.Written(), network.Peers()))
		if err != nil && !said {
			n.cfg.Log.Warn("cannot report", "node", n.cfg.Core.Self, "error", err)
			said = true
		}
		if ctx.Err() != nil {
			return
		}
		_ = pause.For(ctx, reportEvery)
	}
}
