// SPDX-License-Identifier: Apache-2.0

package monitor

import (
	"context"
	"errors"
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

// probeAll are several probes, of which none may fail.
type probeAll []backdoor.Prober

func (all probeAll) Probe(ctx context.Context) error {
	var errs []error
	for _, p := range all {
		errs = append(errs, p.Probe(ctx))
	}
	return errors.Join(errs...)
}

// prober puts the carrier's own probe and that of the options together.
func (o *Options) prober(m backdoor.Memory) backdoor.Prober {
	var all probeAll
	if carrier, ok := m.(backdoor.Prober); ok {
		all = append(all, carrier)
	}
	if o.Link != nil {
		all = append(all, o.Link)
	}
	if len(all) == 0 {
		return nil
	}
	return all
}

// startProber returns nil where nothing can be probed.
func startProber(ctx context.Context, path backdoor.Prober, every time.Duration) *prober {
	if path == nil {
		return nil
	}
	p := &prober{kick: make(chan struct{}, 1)}
	go p.loop(ctx, path, every)
	return p
}

func (p *prober) loop(ctx context.Context, path backdoor.Prober, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		began := now()
		err := path.Probe(ctx)
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

// last returns what the last probe has shown.
func (p *prober) last() (sensorbox.Probe, string) {
	if p == nil {
		return sensorbox.ProbeUnknown, ""
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case !p.known:
		return sensorbox.ProbeUnknown, ""
	case p.err != nil:
		return sensorbox.ProbeFailed, p.err.Error()
	}
	return sensorbox.ProbeGood, ""
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
