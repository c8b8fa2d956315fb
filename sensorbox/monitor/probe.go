// SPDX-License-Identifier: Apache-2.0

package monitor

import (
	"context"
	"sync"
	"time"

	"lazystate/backdoor"
	"lazystate/sensorbox"
)

// prober looks at this side of the path periodically (§3.4.2), beside the
// sampling: a probe may take long.
type prober struct {
	kick chan struct{}

	mu    sync.Mutex
	known bool
	began time.Duration // of the last probe that ended
	err   error
}

// startProber returns nil for a carrier that cannot probe.
func startProber(ctx context.Context, m backdoor.Memory, every time.Duration) *prober {
	carrier, ok := m.(backdoor.Prober)
	if !ok {
		return nil
	}
	p := &prober{kick: make(chan struct{}, 1)}
	go p.loop(ctx, carrier, every)
	return p
}

func (p *prober) loop(ctx context.Context, carrier backdoor.Prober, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		began := now()
		err := carrier.Probe(ctx)
		if ctx.Err() != nil {
			return
		}
		p.mu.Lock()
		p.known, p.began, p.err = true, began, err
		p.mu.Unlock()
		select {
		case <-tick.C:
		case <-p.kick:
		case <-ctx.Done():
			return
		}
	}
}

// ask returns what a probe begun after the last answer has shown, and asks
// for a new one at once.
func (p *prober) ask(lastAnswer time.Duration) sensorbox.Probe {
	if p == nil {
		return sensorbox.ProbeUnknown
	}
	select {
	case p.kick <- struct{}{}:
	default:
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case !p.known || p.began < lastAnswer:
		return sensorbox.ProbeUnknown
	case p.err != nil:
		return sensorbox.ProbeFailed
	}
	return sensorbox.ProbeGood
}
