// SPDX-License-Identifier: Apache-2.0

package mortal

import (
	"context"
	"net/netip"

	"lazystate/backdoor"
	"lazystate/internal/netrig"
	"lazystate/mtcp/salvage"
	"lazystate/mtcp/steer"
	"lazystate/mtcp/takeover"
	"lazystate/mtcp/tcprepair"
)

// Rescuer is what a machine needs to take another's sessions over, opened ahead as scd
// does.
type Rescuer struct {
	m   *Machine
	cfg salvage.Config
}

// Rescuer opens it.
func (m *Machine) Rescuer() *Rescuer {
	m.t.Helper()
	r := &Rescuer{m: m}
	m.Do(r.open)
	return r
}

func (r *Rescuer) open() error {
	t := r.m.t
	gate, err := steer.OpenServer(steer.ServerConfig{Interfaces: []string{netrig.Dev}})
	if err != nil {
		return err
	}
	t.Cleanup(func() { gate.Close() })
	link, err := takeover.Open(netrig.Dev)
	if err != nil {
		return err
	}
	t.Cleanup(func() { link.Close() })
	place, err := salvage.OnLink(link)
	if err != nil {
		return err
	}
	t.Cleanup(func() { place.Close() })
	stack, err := tcprepair.Open()
	if err != nil {
		return err
	}
	t.Cleanup(stack.Close)
	r.cfg = salvage.Config{Gate: gate, Place: place, Stack: stack, Keeper: r.m.Keeper}
	return nil
}

// Salvage has a dead machine's sessions go on at this one.
func (r *Rescuer) Salvage(d *Dead, services ...netip.Prefix) *salvage.Report {
	r.m.t.Helper()
	return r.From(d.Open(), backdoor.FenceOptions{Key: key}, services...)
}

// From is Salvage of any machine that has a backdoor.
func (r *Rescuer) From(target *backdoor.Target, o backdoor.FenceOptions, services ...netip.Prefix) (rep *salvage.Report) {
	r.m.t.Helper()
	cfg := r.cfg
	cfg.Target, cfg.Services = target, services
	cfg.Fence = func(ctx context.Context) error { return target.Fence(ctx, o) }
	r.m.Do(func() (err error) { rep, err = salvage.Run(r.m.t.Context(), cfg); return err })
	return rep
}
