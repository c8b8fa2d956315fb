// SPDX-License-Identifier: Apache-2.0

package guest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"lazystate/backdoor"
	"lazystate/sensorbox"
	"lazystate/sensorbox/monitor"
)

// Sign is an event that a monitor announced, and when.
type Sign struct {
	Kind sensorbox.Kind
	At   time.Time
	Text string
}

// Watch is a monitor of a Wired by one carrier, as bdmon has it.
type Watch struct {
	Carrier Carrier
	Monitor *monitor.Monitor
	cancel  context.CancelFunc
	ended   chan struct{}
	err     error // of Run; after ended

	mu    sync.Mutex
	signs []Sign
}

const (
	watchedWithin = 30 * time.Second
	firstSamples  = 3

	// PathLoss is what p_ml is taken for over the wire: an emulated target on a
	// busy host answers one read in a hundred too late for its slot.
	PathLoss = 0.01
	// MappedPeriod is that of bdmon's configuration for mapped memory.
	MappedPeriod = 10 * time.Millisecond
)

// StartWatch watches by a carrier, with a period as the plan says (mapped memory:
// MappedPeriod) unless the options have one, and returns when samples are answered.
func (w *Wired) StartWatch(ctx context.Context, c Carrier, o monitor.Options) (*Watch, error) {
	v := &Watch{Carrier: c, ended: make(chan struct{})}
	o.Open = func(ctx context.Context) (backdoor.Memory, error) { return w.Open(ctx, c, c != INIC) }
	o.Sink = v.take
	if c != INIC {
		o.Loss = PathLoss
	} else if o.Period == 0 {
		o.Period = MappedPeriod
	}
	v.Monitor = monitor.New(o)
	ctx, v.cancel = context.WithCancel(ctx)
	go func() {
		v.err = v.Monitor.Run(ctx)
		close(v.ended)
	}()
	for end := time.Now().Add(watchedWithin); ; {
		st := v.Monitor.Status()
		switch {
		case st.Up && st.Samples >= firstSamples:
			return v, nil
		case time.Now().After(end):
			return nil, errors.Join(fmt.Errorf("nothing is seen by %s: %s; %s", c, st.Error, w.words()), v.Stop())
		}
		select {
		case <-v.ended:
			return nil, errors.Join(fmt.Errorf("the monitor by %s has ended", c), v.err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// take keeps an event; that something is well again accuses nobody.
func (v *Watch) take(_ *backdoor.Target, ev sensorbox.Event) {
	if ev.Kind == sensorbox.Recovered || ev.Kind == sensorbox.Cleared {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.signs = append(v.signs, Sign{ev.Kind, time.Now(), ev.String()})
}

// Said returns what was announced from a moment on, until another.
func (v *Watch) Said(from, to time.Time) []Sign {
	v.mu.Lock()
	defer v.mu.Unlock()
	var all []Sign
	for _, s := range v.signs {
		if !s.At.Before(from) && s.At.Before(to) {
			all = append(all, s)
		}
	}
	return all
}

// Stop ends the monitor.
func (v *Watch) Stop() error {
	v.cancel()
	<-v.ended
	return v.err
}
