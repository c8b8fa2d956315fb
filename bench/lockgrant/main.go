// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"lazystate/bench/guest"
	"lazystate/bench/result"
	"lazystate/bench/trial"
	"lazystate/repair/drill"
	"lazystate/tools/lab"
)

func main() {
	p := trial.Program{
		Name: "lockgrant", About: "grant and release of the remote OS lock, idle and under bombs (section 3.9.1)", Runs: 30, Timeout: 5 * time.Minute,
		Takes: func(o *trial.Options) time.Duration {
			const growing = 15 * time.Second // 400 processes under emulation
			return trial.Boot + time.Duration(len(loads)-1)*growing + time.Duration(len(loads)*o.Runs)*150*time.Millisecond
		},
		Measure: measure,
	}
	p.Exit()
}

// load is what runs in the target meanwhile; no program: idle.
type load struct {
	name, program string
	processes     int
}

var loads = []load{{name: "idle"}, {"CPU bomb, 400", "bomb-cpu", 400}, {"I/O bomb, 400", "bomb-io", 400}}

func measure(ctx context.Context, o *trial.Options) (*result.Figure, error) {
	files, done, err := guest.Arsenal(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	g, err := guest.Boot(ctx, o, guest.Config{Name: "lockgrant", Lab: lab.Config{Files: files}})
	if err != nil {
		return nil, err
	}
	fig := &result.Figure{
		Title: "Remote OS lock: grant and release (3.9.1)", X: "load of the target", Y: "ms", Machine: g.Machine(),
		Columns: []string{"p90 ms", "drained", "refused or not granted"},
	}
	for _, l := range loads {
		fig.XNames = append(fig.XNames, l.name)
	}
	fig.Notef("lease 3 s, up to 100 ms to drain, NMI allowed; each hold lasts 20 ms; the paper gives no figure for its lock")
	err = g.GiveKey(ctx)
	for i, l := range loads {
		if err == nil {
			err = under(ctx, o, g, fig, i, l)
		}
	}
	return fig, errors.Join(err, g.Close())
}

// under measures o.Runs locks under one load.
func under(ctx context.Context, o *trial.Options, g *guest.Guest, fig *result.Figure, i int, l load) error {
	if l.program != "" {
		pid, err := g.Release(ctx, drill.Program{Args: []string{l.program, strconv.Itoa(l.processes)}, UID: drill.RogueUID})
		if err != nil {
			return err
		}
		defer g.Stop(pid)
		if err := g.WaitCount(ctx, drill.RogueUID, l.processes-l.processes/50, false, 90*time.Second); err != nil {
			return err
		}
	}
	s, err := locks(ctx, o, g)
	if err != nil {
		return fmt.Errorf("%s: %w", l.name, err)
	}
	o.Logf("%s: granted in %.2f ms, released in %.2f ms, %d of %d drained, %d not granted", l.name,
		result.Median(s.grant), result.Median(s.release), s.drained, len(s.grant), s.failed)
	drained, failed := fmt.Sprintf("%d of %d", s.drained, len(s.grant)), strconv.Itoa(s.failed)
	fig.Add("ours: grant", float64(i+1), s.grant, fmt.Sprintf("%.3g", result.Quantile(s.grant, 0.9)), drained, failed)
	fig.Add("ours: release", float64(i+1), s.release, fmt.Sprintf("%.3g", result.Quantile(s.release, 0.9)), drained, failed)
	return nil
}

// samples of one load, in milliseconds.
type samples struct {
	grant, release  []float64
	drained, failed int
}

func locks(ctx context.Context, o *trial.Options, g *guest.Guest) (s samples, err error) {
	for range o.Runs {
		start := time.Now()
		held, err := g.Target.Lock(ctx, g.Lock())
		if err != nil {
			if s.failed++; s.failed > o.Runs/2 || ctx.Err() != nil {
				return s, err
			}
			continue
		}
		s.grant = append(s.grant, float64(time.Since(start))/1e6)
		if held.View().Drained {
			s.drained++
		}
		time.Sleep(20 * time.Millisecond)
		start = time.Now()
		if err := held.Unlock(ctx); err != nil {
			return s, err
		}
		s.release = append(s.release, float64(time.Since(start))/1e6)
		time.Sleep(50 * time.Millisecond)
	}
	return s, nil
}
