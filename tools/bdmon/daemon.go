// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"reflect"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"lazystate/repair"
	"lazystate/sensorbox/fleet"
	"lazystate/tools/bdmon/config"
	"lazystate/tools/control"
)

// daemonState is everything that lives as long as the process.
type daemonState struct {
	cfg     *config.Config // as at the start: socket, group, metrics, audit
	reload  func() (*config.Config, error)
	audit   *repair.Audit
	log     *slog.Logger
	metrics *metrics
	hub     hub
	loop    *loop

	told fixed // what a reload named last, which it cannot change

	mu      sync.Mutex
	watches map[string]*watch
	tasks   sync.WaitGroup
}

// fixed are the settings that stay until a restart.
type fixed struct{ socket, group, metrics, audit, fleet string }

func fixedOf(c *config.Config) fixed {
	f, _ := json.Marshal(c.Fleet) // plain data: it cannot fail
	return fixed{c.Socket, c.Group, c.Metrics, c.Audit, string(f)}
}

func newDaemon(cfg *config.Config, audit *repair.Audit, log *slog.Logger) *daemonState {
	d := &daemonState{cfg: cfg, audit: audit, log: log, told: fixedOf(cfg), watches: map[string]*watch{}}
	d.loop = newLoop(d, cfg)
	d.metrics = newMetrics(d)
	return d
}

// run serves until ctx ends, then lets go of everything that is held.
func (d *daemonState) run(ctx context.Context) error {
	allow, gid, err := control.Allow(d.cfg.Group)
	if err != nil {
		return err
	}
	ctl, err := control.Listen(d.cfg.Socket, gid)
	if err != nil {
		return fmt.Errorf("control socket: %w", err)
	}
	if err := d.serveMetrics(ctx); err != nil {
		return errors.Join(err, ctl.Close())
	}
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	serving, stop := context.WithCancel(ctx)
	defer stop()
	d.tasks.Go(func() { control.Serve(serving, ctl, allow, d.handle) })
	meeting, part := context.WithCancel(context.Background()) // ends after the last word
	defer part()
	d.tasks.Go(func() { d.loop.run(meeting) })
	err = d.loop.meet(d.cfg.Fleet)
	if err == nil {
		err = d.apply(d.cfg)
	}
	if err != nil {
		stop()
		part()
		d.tasks.Wait()
		return err
	}
	d.notify(daemon.SdNotifyReady)
	d.await(ctx, hup)
	d.notify(daemon.SdNotifyStopping)
	if err := d.loop.leave(); err != nil {
		d.log.Warn("leave the fleet", "err", err)
	}
	d.stopAll()
	stop()
	part()
	d.tasks.Wait()
	return nil
}

func (d *daemonState) await(ctx context.Context, hup <-chan os.Signal) {
	every, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		d.log.Warn("systemd watchdog", "err", err)
	}
	ping := time.NewTicker(cmp.Or(every/2, time.Hour))
	defer ping.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-hup:
			d.reconfigure()
		case <-ping.C:
			if every > 0 && d.breathes() {
				d.notify(daemon.SdNotifyWatchdog)
			}
		}
	}
}

// breathes takes every lock of the sampling loops, and a turn of the fleet's:
// a deadlock there stops the watchdog's pings, and with bdmon its places end.
func (d *daemonState) breathes() bool {
	for _, w := range d.sorted() {
		w.mon.Status()
	}
	d.loop.do(func() {})
	return true
}

func (d *daemonState) notify(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		d.log.Warn("systemd notification", "err", err)
	}
}

// reconfigure is SIGHUP: a configuration with a mistake changes nothing. The
// audit log is reopened, for who rotates it.
func (d *daemonState) reconfigure() {
	d.notify(fmt.Sprintf("%s\nMONOTONIC_USEC=%d", daemon.SdNotifyReloading, monotonic()))
	defer d.notify(daemon.SdNotifyReady)
	if err := d.audit.Reopen(); err != nil {
		d.log.Error("audit log not reopened", "err", err)
	}
	cfg, err := d.reload()
	if err == nil {
		err = d.apply(cfg)
	}
	if err != nil {
		d.log.Error("configuration not reloaded", "err", err)
		return
	}
	d.log.Info("configuration reloaded", "targets", len(cfg.Targets))
}

// apply starts, stops and restarts what differs from the running targets.
func (d *daemonState) apply(cfg *config.Config) error {
	if now := fixedOf(cfg); now != d.told {
		if d.told = now; now != fixedOf(d.cfg) {
			d.log.Warn("socket, group, metrics, audit and fleet change at a restart only")
		}
	}
	var fresh []*watch
	keep := map[string]bool{}
	for _, t := range cfg.Targets {
		old := d.find(t.Name)
		key, err := t.Key()
		if err != nil {
			return fmt.Errorf("target %s: %w", t.Name, err)
		}
		if old != nil && old.dryRun == cfg.DryRun && old.key == key && reflect.DeepEqual(old.cfg, t) {
			keep[t.Name] = true
			continue
		}
		fresh = append(fresh, newWatch(d, t, key, cfg.DryRun))
	}
	own := cfg.Member(ownName()).Targets
	d.loop.targets(slices.DeleteFunc(slices.Clone(own), func(t fleet.Target) bool { return !keep[t.Name] }))
	for _, w := range d.sorted() {
		if !keep[w.cfg.Name] {
			d.remove(w)
		}
	}
	for _, w := range fresh {
		d.mu.Lock()
		d.watches[w.cfg.Name] = w
		d.mu.Unlock()
		w.start()
	}
	d.loop.targets(own)
	return nil
}

func (d *daemonState) remove(w *watch) {
	d.mu.Lock()
	delete(d.watches, w.cfg.Name)
	d.mu.Unlock()
	w.stop()
}

func (d *daemonState) stopAll() {
	var wg sync.WaitGroup
	for _, w := range d.sorted() {
		wg.Go(func() { d.remove(w) })
	}
	wg.Wait()
}

func (d *daemonState) find(name string) *watch {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.watches[name]
}

func (d *daemonState) sorted() []*watch {
	d.mu.Lock()
	defer d.mu.Unlock()
	var all []*watch
	for _, w := range d.watches {
		all = append(all, w)
	}
	slices.SortFunc(all, func(a, b *watch) int { return cmp.Compare(a.cfg.Name, b.cfg.Name) })
	return all
}

func (d *daemonState) serveMetrics(ctx context.Context) error {
	if d.cfg.Metrics == "-" {
		return nil
	}
	l, err := net.Listen("tcp", d.cfg.Metrics)
	if err != nil {
		return fmt.Errorf("metrics: %w", err)
	}
	d.log.Info("serving metrics", "addr", l.Addr().String())
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", d.metrics.handler(d.log))
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, WriteTimeout: 10 * time.Second}
	d.tasks.Go(func() {
		if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			d.log.Error("metrics", "err", err)
		}
	})
	context.AfterFunc(ctx, func() { srv.Close() })
	return nil
}

func monotonic() int64 { return int64(monotonicNow() / time.Microsecond) }
