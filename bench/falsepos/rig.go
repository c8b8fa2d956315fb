// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"lazystate/backdoor"
	"lazystate/backdoor/bdtest"
	"lazystate/backdoor/guard"
	"lazystate/backdoor/nic"
	"lazystate/backdoor/rdma"
	"lazystate/backdoor/uapi"
	"lazystate/internal/pause"
	"lazystate/sensorbox"
	"lazystate/verbs"
)

// Addresses of this host's loopback that nobody else is likely to use.
const (
	targetAddr  = "127.77.0.1"
	monitorAddr = "127.77.0.2"
	slot        = 1
	pool        = 16 // queue pairs: one that waits for its timeout holds up no other
)

var key = uapi.Key{1}

// rig is a healthy target behind a NIC, and a monitor's connection through a
// network that loses packets.
type rig struct {
	kernel  *bdtest.Target
	sensor  uint32
	cleanup []func() error
	target  *backdoor.Target
	box     backdoor.Region
	epoch   time.Time
}

func newRig(ctx context.Context, loss float64, seed uint64) (*rig, error) {
	r := &rig{kernel: bdtest.New(bdtest.WithKey(slot, key)), epoch: time.Now()}
	r.sensor = r.kernel.SetSensor(bdtest.Sensor{Class: uapi.Progress, Flags: uapi.SensorClock, Limit: 3600e6, Name: sensorName, Unit: "ticks"})
	if err := errors.Join(r.serve(ctx), r.connect(ctx, loss, seed)); err != nil {
		return nil, errors.Join(err, r.close())
	}
	r.tick()
	return r, nil
}

// serve starts the NIC, without loss: the monitor's end has it for both ways.
func (r *rig) serve(ctx context.Context) error {
	dev, err := verbs.Open(ctx, "roce://"+targetAddr)
	if err != nil {
		return err
	}
	r.cleanup = append(r.cleanup, dev.Close)
	policy := guard.Policy{Monitors: map[uint32]guard.Monitor{slot: {Key: key, Read: ^uint64(0)}}}
	s, err := nic.New(nic.Options{Memory: r.kernel.Memory(), Policy: policy, Fronts: []nic.Front{{Device: dev, Listen: netip.MustParseAddrPort(targetAddr + ":7777")}}})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	r.cleanup = append(r.cleanup, s.Close, func() error { cancel(); return <-ended })
	return nil
}

func (r *rig) connect(ctx context.Context, loss float64, seed uint64) error {
	dev, err := verbs.Open(ctx, fmt.Sprintf("roce://%s?loss=%g&seed=%d", monitorAddr, loss, seed))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	mem, err := rdma.Open(ctx, rdma.Options{
		Device: dev, Remote: netip.MustParseAddrPort(targetAddr + ":7777"), Local: netip.MustParseAddr(monitorAddr), Monitor: slot, Key: key, Pool: pool, Dial: 10 * time.Second,
	})
	if err != nil {
		return err // Open has closed the device
	}
	r.cleanup = append(r.cleanup, mem.Close)
	if r.target, err = backdoor.Open(ctx, mem); err != nil {
		return err
	}
	r.box, err = r.target.Region(uapi.KindSensorbox)
	return err
}

// tick lets the target make progress a thousand times a second.
func (r *rig) tick() {
	done := make(chan struct{})
	var clock sync.WaitGroup
	clock.Go(func() {
		t := time.NewTicker(time.Millisecond)
		defer t.Stop()
		for v := uint64(1); ; v++ {
			select {
			case <-done:
				return
			case <-t.C:
				r.kernel.SetValue(r.sensor, v)
			}
		}
	})
	r.cleanup = append(r.cleanup, func() error { close(done); clock.Wait(); return nil })
}

func (r *rig) close() error {
	var errs []error
	for i := len(r.cleanup) - 1; i >= 0; i-- {
		errs = append(errs, r.cleanup[i]())
	}
	return errors.Join(errs...)
}

// buffer of one sample: the carrier's until its batch has completed.
type buffer struct {
	box   []byte
	batch *backdoor.Batch
	busy  bool
}

func (b *buffer) free() bool {
	if b.busy {
		select {
		case <-b.batch.Done():
			b.busy = false
		default:
		}
	}
	return !b.busy
}

// sample samples for a time, each sample in its slot, and lets the jury judge.
func (r *rig) sample(ctx context.Context, window time.Duration, j *jury) error {
	buffers := make([]*buffer, pool)
	for i := range buffers {
		b := &buffer{box: make([]byte, r.box.Len)}
		b.batch = backdoor.NewRepeatBatch(r.box.Read(0, b.box))
		buffers[i] = b
	}
	var view sensorbox.View
	r.epoch = time.Now()
	for due := r.epoch; time.Since(r.epoch) < window; {
		if err := pause.For(ctx, time.Until(due)); err != nil {
			return err
		}
		now := time.Now()
		due = due.Add(max(1, (now.Sub(due)+period-1)/period) * period) // the grid stays, what went by is skipped
		in, err := r.one(ctx, buffers, due, &view)
		if err != nil {
			return err
		}
		j.hear(in)
	}
	return nil
}

// one takes a sample, which has until its slot ends.
func (r *rig) one(ctx context.Context, buffers []*buffer, until time.Time, view *sensorbox.View) (sensorbox.Input, error) {
	in := sensorbox.Input{Start: time.Since(r.epoch), Outcome: sensorbox.NoAnswer, Probe: sensorbox.ProbeUnknown}
	for _, b := range buffers {
		if !b.free() {
			continue
		}
		b.batch.Ops[0].Err = nil
		b.busy = true
		r.target.Memory().Post(ctx, b.batch)
		select {
		case <-b.batch.Done():
			b.busy = false
		case <-time.After(time.Until(until)):
		}
		in.End = time.Since(r.epoch)
		if b.busy || b.batch.Err() != nil {
			return in, nil
		}
		if err := view.Decode(b.box, nil); err != nil {
			return in, err
		}
		in.Outcome, in.View = sensorbox.Answered, view
		return in, nil
	}
	in.End = time.Since(r.epoch)
	return in, nil
}
