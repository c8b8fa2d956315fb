// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"

	"lazystate/bench/guest"
	"lazystate/bench/trial"
	"lazystate/bench/useful"
	"lazystate/repair/drill"
	"lazystate/tools/lab"
)

// peer is one way to keep a machine alive.
type peer struct {
	key, name string
	packages  []string // Debian packages in the guest
	prepare   func(context.Context, *guest.Guest) error
	release   func(drill.Program) lab.Proc
	ours      bool
	log       string // file of the guest where its kills are told
	kill      string // that tells one kill
}

const earlyoomLog = "/tmp/earlyoom.log"

var peers = []peer{
	{key: "kernel", name: "kernel alone", release: plain},
	{key: "pids", name: "pids limit 50", prepare: limitPids, release: inCgroup},
	{key: "earlyoom", name: "earlyoom", packages: []string{"earlyoom"}, prepare: startEarlyoom, release: plain, log: earlyoomLog, kill: " to process "},
	{key: "ours", name: "lazystate", release: plain, ours: true},
}

func plain(p drill.Program) lab.Proc {
	return lab.Proc{Argv: append([]string{"/bin/rogue"}, p.Args...), UID: p.UID}
}

// limitPids knows which user will need it.
func limitPids(ctx context.Context, g *guest.Guest) error {
	return g.Cgroup(ctx, "rogue", "pids", "max", "50")
}

func inCgroup(p drill.Program) lab.Proc {
	return lab.Proc{Argv: guest.InCgroup("rogue", append([]string{"/bin/rogue"}, p.Args...)...), UID: p.UID}
}

// startEarlyoom runs it as Debian's unit does, without systemd.
func startEarlyoom(ctx context.Context, g *guest.Guest) error {
	_, err := g.VM.Start(ctx, lab.Proc{Argv: []string{"/usr/bin/earlyoom", "-r", "3600"}, Log: earlyoomLog, OOMAdj: -100})
	return err
}

// heal starts bdmon as the drills do.
func (b *bench) heal(ctx context.Context, o *trial.Options, g *guest.Guest, d *drill.Drill) (stop func() error, err error) {
	h, err := useful.Heal(ctx, g, b.monitor, d)
	if err != nil {
		return nil, err
	}
	return func() error {
		incidents, err := h.Stop()
		for _, in := range incidents {
			o.Logf("bdmon: %s, %d killed %s", in.Result, in.Killed, in.Reason())
		}
		return err
	}, nil
}
