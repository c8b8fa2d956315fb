// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"lazystate/backdoor"
	"lazystate/bench/guest"
	"lazystate/bench/result"
	"lazystate/bench/trial"
	"lazystate/repair"
	"lazystate/tools/lab"
)

// wireProcesses is the bomb's size over the wire.
const wireProcesses = 400

// serial is a carrier that posts each operation alone and waits for it: what a
// repair would take without batches.
type serial struct{ backdoor.Memory }

// Post implements backdoor.Memory.
func (s serial) Post(ctx context.Context, b *backdoor.Batch) { go s.post(ctx, b) }

func (s serial) post(ctx context.Context, b *backdoor.Batch) {
	failed := false
	for i := range b.Ops {
		op := &b.Ops[i]
		if failed {
			op.Err = backdoor.ErrFlushed
			continue
		}
		one := backdoor.NewBatch(*op)
		s.Memory.Post(ctx, one)
		<-one.Done() // a carrier completes whatever becomes of ctx
		*op = one.Ops[0]
		failed = op.Err != nil
	}
	b.Complete()
}

// ways of one repair, in the order of the first run.
var ways = []string{"ours: batched", "ours: batches of one"}

// measureWire repairs one target over rdma_rxe by turns: with batches, and with
// each operation waited for.
func measureWire(ctx context.Context, o *trial.Options, bomb string) (*result.Figure, error) {
	files, done, err := guest.Arsenal(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	o.Logf("booting the target with Linux %s", o.Kernel)
	w, err := guest.Wire(ctx, guest.WiredConfig{
		Name: "bench-table33-wire", Seed: o.Seed, Lab: lab.Config{Kernel: o.Kernel, Files: files, SwapMiB: 256},
	})
	if err != nil {
		return nil, err
	}
	fig := &result.Figure{
		Title: "Repair over rdma_rxe, batched and with batches of one (3.9.5)", X: "processes", Y: "ms", LogY: true,
		Machine: w.Machine(), Columns: columns,
	}
	fig.Name = "table33-wire"
	return fig, errors.Join(byTurns(ctx, o, w, fig, bomb), w.Close())
}

func byTurns(ctx context.Context, o *trial.Options, w *guest.Wired, fig *result.Figure, bomb string) (err error) {
	mem, err := w.Open(ctx, guest.RXE, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, mem.Close()) }()
	batched, err := backdoor.Open(ctx, mem)
	if err != nil {
		return err
	}
	single, err := backdoor.Open(ctx, serial{mem})
	if err != nil {
		return err
	}
	slot, key := w.Who(guest.RXE)
	patients := []*repair.Patient{
		{Name: "batched", Target: batched, Slot: slot, Key: key, Audit: repair.NewAudit(io.Discard)},
		{Name: "serial", Target: single, Slot: slot, Key: key, Audit: repair.NewAudit(io.Discard)},
	}
	g := &guest.Guest{VM: w.VM, Target: batched, Key: key}
	runs := make([][]repaired, len(patients))
	for i := range o.Runs {
		for turn := range patients {
			k := (i + turn) % len(patients) // first one, then the other first
			r, err := once(ctx, g, patients[k], bomb, wireProcesses)
			if err != nil {
				return fmt.Errorf("%s, run %d: %w", ways[k], i+1, err)
			}
			if patients[k].Target == single {
				r.batches = r.reads // the program's own are taken apart below it
			}
			o.Logf("%s, run %d: killed %d in %v, the walk %v, %d reads in %d batches", ways[k], i+1, r.killed, r.acted, r.walk, r.reads, r.batches)
			runs[k] = append(runs[k], r)
		}
	}
	compare(fig, bomb, runs)
	return nil
}

// compare adds both series, and what the issue asks of them.
func compare(fig *result.Figure, bomb string, runs [][]repaired) {
	var repairs, walks, toWalk []float64
	for i := range runs[0] {
		batched, single := runs[0][i], runs[1][i]
		repairs = append(repairs, acted(batched)/acted(single))
		walks = append(walks, ms(batched.walk)/ms(single.walk))
		toWalk = append(toWalk, acted(batched)/ms(single.walk))
	}
	for k, name := range ways {
		fig.Add(name, wireProcesses, of(runs[k], acted), medians(runs[k])...)
	}
	fig.Notef("%s of that many processes, one user; RoCEv2 of this process to rdma_rxe in an emulated guest; from the diagnosis until every kill has been read back; batches of one: the same code, each operation posted alone and waited for", bomb)
	fig.Notef("pairs in turn, medians of the ratios: a batched repair takes %.3g of one with batches of one, its first walk %.3g of that one's, and the whole batched repair %.3g of that first walk",
		result.Median(repairs), result.Median(walks), result.Median(toWalk))
}
