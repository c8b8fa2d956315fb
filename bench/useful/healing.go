// SPDX-License-Identifier: Apache-2.0

package useful

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"

	"lazystate/bench/guest"
	"lazystate/repair/drill"
	"lazystate/tools/bdmon/daemon"
)

// Healing is a bdmon process that heals one machine.
type Healing struct {
	dir    string
	daemon *daemon.Daemon
	ledger *daemon.Ledger
}

// Heal starts the bdmon at path and returns when it samples the machine, which
// it heals until Stop. It takes the writer's place: g is opened for reading.
func Heal(ctx context.Context, g *guest.Guest, path string, d *drill.Drill) (*Healing, error) {
	dir, err := os.MkdirTemp("", "lazystate-bdmon-")
	if err != nil {
		return nil, err
	}
	h := &Healing{dir: dir}
	if err := h.start(ctx, g, path, d); err != nil {
		if h.daemon != nil {
			h.daemon.Stop()
		}
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return h, nil
}

func (h *Healing) start(ctx context.Context, g *guest.Guest, path string, d *drill.Drill) error {
	key, err := daemon.WriteKey(h.dir, g.Key)
	if err != nil {
		return err
	}
	audit := filepath.Join(h.dir, "audit.jsonl")
	if h.ledger, err = daemon.NewLedger(audit, g.VM.Name()); err != nil {
		return err
	}
	c := daemon.Config{VM: g.VM, KeyFile: key, Audit: audit, Drill: d}
	if h.daemon, err = daemon.Start(ctx, path, h.dir, c, io.Discard); err != nil {
		return err
	}
	client, err := h.daemon.Dial(ctx)
	if err != nil {
		return err
	}
	return client.Close()
}

// Stop ends bdmon and returns the incidents that came to their end.
func (h *Healing) Stop() ([]daemon.Incident, error) {
	err := h.daemon.Err() // it ran until now
	h.daemon.Stop()
	if rerr := h.ledger.Read(); !errors.Is(rerr, os.ErrNotExist) {
		err = errors.Join(err, rerr)
	}
	return h.ledger.Ended(), errors.Join(err, os.RemoveAll(h.dir))
}
