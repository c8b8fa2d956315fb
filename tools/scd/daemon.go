// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"

	"lazystate/internal/identity"
	"lazystate/mtcp/cbox"
	"lazystate/mtcp/escrow"
	"lazystate/mtcp/keeper"
	"lazystate/mtcp/migrate"
	"lazystate/mtcp/steer"
	"lazystate/mtcp/tcprepair"
	"lazystate/tools/control"
	"lazystate/tools/scd/config"
)

// state is everything that lives as long as the process.
type state struct {
	cfg     *config.Config
	log     *slog.Logger
	keeper  *keeper.Keeper
	stack   *tcprepair.Stack
	mover   *migrate.Mover
	escrow  *escrow.Escrow // nil: there is none
	rescue  []*rescue      // by the configuration's salvage
	gate    *steer.Server  // of all of them; nil without
	asides  *asides        // nil without
	revived *ledger        // likewise
	lock    *os.File       // of the journal
	tasks   sync.WaitGroup
}

// point is told of every step of a move; tests kill the daemon at one.
var point func(string)

func newDaemon(cfg *config.Config, log *slog.Logger) (*state, error) {
	d := &state{cfg: cfg, log: log}
	kc := keeper.Config{Sessions: cfg.Sessions, Bytes: cfg.Bytes, Orphan: time.Duration(cfg.Orphan), Log: log,
		User: share(cfg.Quota), Users: map[uint32]keeper.Share{},
		Frozen:  func(h *keeper.Held) { d.mover.Rescue(h) }, // servers are heard once there is one
		Waiting: func(i keeper.Info, r cbox.Region, c *keeper.Conn) func() { return d.mover.Waits(i, r, c) },
	}
	for _, q := range cfg.Quotas {
		kc.Users[q.UID] = share(q.Quota)
	}
	d.keeper = keeper.New(kc)
	var err error
	if d.lock, err = lockJournal(cfg.Journal); err != nil {
		return nil, err
	}
	if d.stack, err = tcprepair.Open(); err != nil {
		return nil, errors.Join(err, d.lock.Close())
	}
	mc := migrate.Config{
		Keeper: d.keeper, Stack: d.stack, Journal: cfg.Journal, Log: log, Interfaces: cfg.Interfaces, SameClient: cfg.SameClient, Point: point, Capacity: cfg.Capacity,
		Limits: migrate.Limits{Queues: cfg.State.Queues, Box: cfg.State.Box}, Most: cfg.State.Total,
	}
	if err = d.openRescues(); err == nil {
		err = d.network(&mc)
	}
	if d.gate != nil {
		mc.LetIn = d.gate.Release
	}
	if err == nil {
		d.openEscrow(&mc)
		d.openRevived(&mc)
		d.mover, err = migrate.New(mc)
	}
	if err != nil {
		d.stack.Close()
		return nil, errors.Join(err, d.escrow.Close(), d.closeRescues(), d.lock.Close())
	}
	return d, nil
}

func share(q config.Quota) keeper.Share {
	return keeper.Share{Sessions: q.Sessions, Bytes: q.Bytes, Processes: q.Processes, Listeners: q.Listeners}
}

// network is who else there is.
func (d *state) network(mc *migrate.Config) (err error) {
	for _, s := range d.cfg.Services {
		mc.Services = append(mc.Services, migrate.Service{Name: s.Name, UID: s.UID, Listen: s.Addr, Device: s.Device})
	}
	if d.cfg.Identity == "" {
		return nil
	}
	if mc.Identity, err = identity.Load(d.cfg.Identity); err != nil {
		return err
	}
	if mc.Peers, err = peers(d.cfg.Peers); err != nil {
		return err
	}
	if mc.Gateways, err = peers(d.cfg.Gateways); err != nil {
		return err
	}
	if d.cfg.Listen == "" {
		return nil
	}
	if mc.Listen, err = net.Listen("tcp", d.cfg.Listen); err != nil {
		return fmt.Errorf("listen for other servers: %w", err)
	}
	return nil
}

func peers(all []config.Peer) (out []migrate.Peer, err error) {
	for _, p := range all {
		key, err := identity.ParseKey(p.Key)
		if err != nil {
			return nil, err
		}
		out = append(out, migrate.Peer{Name: p.Name, Address: p.Address, Key: key, Serves: p.Serves})
	}
	return out, nil
}

// run serves until ctx ends.
func (d *state) run(ctx context.Context) error {
	allow, gid, err := control.Allow(d.cfg.Group)
	if err != nil {
		return err
	}
	servers, err := listenServers(d.cfg.Servers)
	if err != nil {
		return fmt.Errorf("socket for servers: %w", err)
	}
	ctl, err := control.Listen(d.cfg.Socket, gid)
	if err != nil {
		return errors.Join(fmt.Errorf("control socket: %w", err), servers.Close())
	}
	if err := d.serveMetrics(ctx); err != nil {
		return errors.Join(err, ctl.Close(), servers.Close())
	}
	d.tasks.Go(func() {
		if err := d.keeper.Serve(servers); err != nil {
			d.log.Error("servers' socket", "err", err)
		}
	})
	d.tasks.Go(func() { d.mover.Run(ctx) })
	if d.cfg.Policy.Set() {
		d.tasks.Go(func() { d.police(ctx) })
	}
	d.tasks.Go(func() { control.Serve(ctx, ctl, allow, d.handle) })
	d.notify(daemon.SdNotifyReady)
	<-ctx.Done()
	d.notify(daemon.SdNotifyStopping)
	err = servers.Close()
	d.tasks.Wait()
	d.keeper.Close()
	d.stack.Close()
	return errors.Join(err, d.mover.Close(), d.escrow.Close(), d.closeRescues(), d.lock.Close())
}

func (d *state) notify(s string) {
	if _, err := daemon.SdNotify(false, s); err != nil {
		d.log.Warn("systemd notification", "err", err)
	}
}

// listenServers makes the socket that servers' processes connect to: everybody
// may, for the kernel says who it is.
func listenServers(path string) (*net.UnixListener, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	addr := &net.UnixAddr{Name: path, Net: "unixpacket"}
	if c, err := net.DialUnix("unixpacket", nil, addr); err == nil {
		return nil, errors.Join(fmt.Errorf("%s: another scd answers there", path), c.Close())
	} else if errors.Is(err, unix.ECONNREFUSED) {
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	l, err := net.ListenUnix("unixpacket", addr)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o666); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
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
	mux.Handle("GET /metrics", d.metrics())
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, WriteTimeout: 10 * time.Second}
	d.tasks.Go(func() {
		if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			d.log.Error("metrics", "err", err)
		}
	})
	context.AfterFunc(ctx, func() { srv.Close() })
	return nil
}
