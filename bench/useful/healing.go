// SPDX-License-Identifier: Apache-2.0

package useful

import (
	"context"
	"fmt"
	"sync"
	"time"

	"lazystate/backdoor"
	"lazystate/bench/guest"
	"lazystate/repair"
	"lazystate/repair/drill"
	"lazystate/repair/policy"
	"lazystate/sensorbox"
	"lazystate/sensorbox/monitor"
)

// Limits are what the target promises to stay below: its L.
const Limits = "limits=NPROCS:60,MAXPROCRATE_PERUID:60,OOM_KILLER_RUNNING:3"

const mib = 1 << 20

// Healing is a monitor with a dispatcher and a healer, as bdmon runs them.
type Healing struct {
	mon      *monitor.Monitor
	dispatch *repair.Dispatcher
	cancel   context.CancelFunc
	running  sync.WaitGroup

	mu      sync.Mutex
	reports []repair.Report
	err     error
}

// healer returns the healer for a resource, and its sensors.
func healer(r drill.Resource, g *guest.Guest) (repair.Healer, []string) {
	if r == drill.Memory {
		c := g.VM.Config()
		usable := uint64(c.MemMiB+c.SwapMiB) * mib / 4096
		return &repair.MemReclaimHealer{
			Policy: policy.Basic{Kind: policy.PolicyMaxRSSUID, Limit: 128 * mib},
			Free:   []string{"AVAIL_PAGES", "SWAP_FREE"}, Floor: usable / 20,
		}, []string{repair.SensorOOM}
	}
	return &repair.ProcRepairHealer{
		Policy: policy.Basic{Kind: policy.PolicyTooManyProcs, Limit: 50},
	}, []string{repair.SensorNProcs, repair.SensorMaxProcRate}
}

// Heal watches the target and heals it until Stop.
func Heal(ctx context.Context, g *guest.Guest, r drill.Resource) (*Healing, error) {
	ctx, cancel := context.WithCancel(ctx)
	h := &Healing{cancel: cancel}
	ready := make(chan struct{}, 1)
	patient := g.Patient()
	h.dispatch = repair.NewDispatcher(patient, repair.Options{Report: h.report})
	heal, sensors := healer(r, g)
	hm := h.dispatch.NewHealer(heal)
	for _, s := range sensors {
		h.dispatch.RegisterSensor(hm, s)
	}
	h.mon = monitor.New(monitor.Options{
		Open: func(context.Context) (backdoor.Memory, error) { return g.Read() }, Period: 10 * time.Millisecond,
		Opened: func(*backdoor.Target) { ready <- struct{}{} },
		Sink:   func(_ *backdoor.Target, e sensorbox.Event) { h.dispatch.Dispatch(e) },
	})
	h.running.Go(func() { h.fail(h.mon.Run(ctx)) })
	h.running.Go(func() {
		if err := h.dispatch.Run(ctx); ctx.Err() == nil {
			h.fail(err)
		}
	})
	select {
	case <-ready:
		return h, nil
	case <-time.After(20 * time.Second):
		h.Stop()
		return nil, fmt.Errorf("target cannot be watched: %s", h.mon.Status().Error)
	}
}

func (h *Healing) report(r repair.Report) {
	for _, e := range r.Events {
		h.mon.Ack(e)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.reports = append(h.reports, r)
}

func (h *Healing) fail(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.err == nil {
		h.err = err
	}
}

// Stop ends the watch and returns what was done.
func (h *Healing) Stop() ([]repair.Report, error) {
	h.cancel()
	h.running.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.reports, h.err
}
