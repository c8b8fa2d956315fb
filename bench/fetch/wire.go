// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"

	"lazystate/backdoor"
	"lazystate/bench/guest"
	"lazystate/bench/result"
	"lazystate/bench/trial"
	"lazystate/tools/lab"
)

// wireReads of each run: a round trip to an emulated machine takes its time.
const wireReads = 200

// measureWire reads one target by every carrier.
func measureWire(ctx context.Context, o *trial.Options) (*result.Figure, error) {
	o.Logf("booting the target with Linux %s", o.Kernel)
	w, err := guest.Wire(ctx, guest.WiredConfig{Name: "bench-fetch-wire", Seed: o.Seed, Build: []string{"tools/bdagent"}, Lab: lab.Config{Kernel: o.Kernel}})
	if err != nil {
		return nil, err
	}
	fig := newFigure("Remote read by each carrier (3.9.3)", wireReads)
	fig.Name, fig.Machine = "fetch-wire", w.Machine()
	fig.Notef("RoCEv2 of this process over a relay of Ethernet frames, MTU 1500, to rdma_rxe in an emulated guest and to a bdnic on this host; one read at a time")
	for _, c := range guest.Carriers {
		if err := readBy(ctx, o, fig, w, c); err != nil {
			return nil, errors.Join(err, w.Close())
		}
	}
	return fig, w.Close()
}

func readBy(ctx context.Context, o *trial.Options, fig *result.Figure, w *guest.Wired, c guest.Carrier) (err error) {
	mem, err := w.Open(ctx, c, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, mem.Close()) }()
	t, err := backdoor.Open(ctx, mem)
	if err != nil {
		return err
	}
	return readAll(ctx, o, fig, t, "ours: remote read ("+string(c)+")", wireReads)
}
