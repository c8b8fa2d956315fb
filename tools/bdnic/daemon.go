// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/signal"
	"reflect"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	ucli "github.com/urfave/cli/v2"

	"lazystate/backdoor"
	"lazystate/backdoor/guard"
	"lazystate/backdoor/nic"
	"lazystate/internal/cli"
	"lazystate/internal/confile"
	"lazystate/tools/target"
	"lazystate/verbs"
)

func dur(d confile.Duration) time.Duration { return time.Duration(d) }

func action(c *ucli.Context) error {
	if c.Args().Present() {
		return cli.Usagef("unexpected argument %q", c.Args().First())
	}
	log, err := cli.Logger(c)
	if err != nil {
		return err
	}
	path := c.String("config")
	cfg, policy, err := load(path)
	if err != nil {
		return err
	}
	if c.Bool("check-config") {
		fmt.Fprintf(c.App.Writer, "%s: ok, %d monitor(s)\n", path, len(policy.Monitors))
		return nil
	}
	d := &state{path: path, cfg: cfg, policy: policy, log: log}
	return d.run(c.Context)
}

// state is the process.
type state struct {
	path    string
	cfg     *config
	policy  guard.Policy
	log     *slog.Logger
	mem     *follower
	devices []*verbs.Device
	server  *nic.Server
}

// run answers until ctx ends.
func (d *state) run(ctx context.Context) (err error) {
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	d.mem = &follower{log: d.log, open: func(ctx context.Context) (backdoor.Memory, error) {
		return target.Open(ctx, d.cfg.Target, target.Options{Writable: true, CutPort: target.Command("port command", d.cfg.Port)})
	}}
	// One writer: who finds the place taken at the start has been started wrongly.
	if d.mem.mem, err = d.mem.open(ctx); errors.Is(err, backdoor.ErrReadOnly) {
		return err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	if err := d.listen(ctx); err != nil {
		return err
	}
	if err := d.serveMetrics(ctx); err != nil {
		return err
	}
	serving, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- d.server.Run(serving) }()
	d.notify(daemon.SdNotifyReady)
	d.loop(ctx, hup, ended)
	d.notify(daemon.SdNotifyStopping)
	stop()
	return <-ended
}

// listen opens the devices and makes the server.
func (d *state) listen(ctx context.Context) error {
	o := nic.Options{Memory: d.mem, Policy: d.policy, Log: d.log}
	for _, l := range d.cfg.Listen {
		dev, err := verbs.Open(ctx, l.Device)
		if err != nil {
			return err
		}
		d.devices = append(d.devices, dev)
		o.Fronts = append(o.Fronts, nic.Front{Device: dev, Listen: netip.MustParseAddrPort(l.Address)})
	}
	var err error
	if d.server, err = nic.New(o); err != nil {
		return err
	}
	for i := range d.cfg.Listen {
		d.log.Info("listening", "device", d.cfg.Listen[i].Device, "addr", d.server.Addr(i).String())
	}
	return nil
}

func (d *state) close() error {
	var errs []error
	if d.server != nil {
		errs = append(errs, d.server.Close())
	}
	for _, dev := range d.devices {
		errs = append(errs, dev.Close())
	}
	return errors.Join(append(errs, d.mem.Close())...)
}

// loop runs until ctx ends or the server has; what it ended with is left in ended.
func (d *state) loop(ctx context.Context, hup <-chan os.Signal, ended chan error) {
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
		case err := <-ended:
			ended <- err
			return
		case <-hup:
			d.reconsider()
		case <-ping.C:
			d.server.Stats() // takes the locks that answering takes
			if every > 0 {
				d.notify(daemon.SdNotifyWatchdog)
			}
		}
	}
}

// reconsider is SIGHUP. The policy is sealed (§3.8), so it only tells what a
// restart would change.
func (d *state) reconsider() {
	cfg, policy, err := load(d.path)
	switch {
	case err != nil:
		d.log.Error("the configuration as it is now is wrong; nothing has changed", "err", err)
	case reflect.DeepEqual(cfg, d.cfg) && reflect.DeepEqual(policy, d.policy):
		d.log.Info("configuration has not changed")
	default:
		d.log.Warn("the policy is sealed at the start: restart to change it")
	}
}

func (d *state) notify(s string) {
	if _, err := daemon.SdNotify(false, s); err != nil {
		d.log.Warn("systemd notification", "err", err)
	}
}

func (d *state) serveMetrics(ctx context.Context) error {
	if d.cfg.Metrics == "-" {
		return nil
	}
	l, err := net.Listen("tcp", d.cfg.Metrics)
	if err != nil {
		return fmt.Errorf("metrics: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("/metrics", metricsHandler(d.cfg.Target, d.server))
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	context.AfterFunc(ctx, func() { srv.Close() })
	go func() {
		if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			d.log.Error("metrics", "err", err)
		}
	}()
	return nil
}
