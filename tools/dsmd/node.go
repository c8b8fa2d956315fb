// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"lazystate/dsm"
	"lazystate/dsm/daemon"
	"lazystate/dsm/logs"
	"lazystate/dsm/store"
	"lazystate/dsm/transport"
	"lazystate/tools/dsmd/meet"
	"lazystate/tools/dsmd/settings"
)

// node is one life of a node.
type node struct {
	settings settings.Settings
	cfg      daemon.Config
	meeting  meet.Meeting
	command  []string
	stdin    io.Reader
	stdout   io.Writer
	stderr   io.Writer
	sockets  *sockets // of this life
}

// run is the life, from the last checkpoint to the end of all programs.
func (n *node) run(ctx context.Context) (err error) {
	if n.sockets, err = openSockets(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.sockets.close()) }()
	disk, err := store.Open(n.cfg.Core, n.folders()...)
	if err != nil {
		return fmt.Errorf("the checkpoints: %w", err)
	}
	defer func() { err = errors.Join(err, disk.Close()) }()
	d, err := daemon.New(n.cfg, stable{disk, n.cfg.Log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	network, err := n.connect(ctx, d)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, network.Close()) }()
	d.Start(network)
	told, stop := context.WithCancel(ctx)
	var reports sync.WaitGroup
	reports.Go(func() { n.report(told, d, disk, network) })
	defer reports.Wait()
	defer stop()
	if err := n.serve(ctx, d); err != nil {
		return err
	}
	return d.Part(ctx)
}

// folders are this node's, in --dir and its copies.
func (n *node) folders() (dirs []string) {
	for _, dir := range append([]string{n.settings.Dir}, n.settings.Copies...) {
		dirs = append(dirs, filepath.Join(dir, fmt.Sprintf("node-%d", n.cfg.Core.Self)))
	}
	return dirs
}

// connect makes the node's links. One that lived before waits for all others:
// what it says first is not for who begins later.
func (n *node) connect(ctx context.Context, d *daemon.Daemon) (*transport.Transport, error) {
	listeners, where, err := n.listen(ctx)
	if err != nil {
		return nil, err
	}
	key, err := n.meeting.Key(ctx)
	if err == nil {
		err = n.meeting.Tell(ctx, n.cfg.Core.Self, where)
	}
	if err != nil {
		return nil, errors.Join(err, closeAll(listeners))
	}
	lives, end := context.WithCancelCause(ctx)
	defer end(nil)
	network, err := transport.New(transport.Config{
		Cluster: n.cfg.Core, Incarnation: d.Incarnation(), Key: key, Listeners: listeners,
		Address: meet.Address(n.meeting, where), Silence: n.settings.Silence,
	}, receiver{d, end})
	if err != nil {
		return nil, errors.Join(err, closeAll(listeners))
	}
	if d.Incarnation() > 1 {
		if err := n.ready(lives, network); err != nil {
			return nil, errors.Join(err, network.Close())
		}
	}
	return network, nil
}

// listen is for others: over TCP, over shared memory for those on this machine, and over
// RDMA if that is asked for.
func (n *node) listen(ctx context.Context) (all []net.Listener, where meet.Place, err error) {
	l, err := net.Listen("tcp", n.settings.Listen)
	if err != nil {
		return nil, where, err
	}
	all, where.TCP = append(all, l), meet.Reached(l, n.settings.Name)
	if boot := meet.Boot(); boot != "" && n.settings.Memory {
		path := n.sockets.path("nodes")
		u, err := net.Listen("unix", path)
		if err != nil {
			return nil, where, errors.Join(err, closeAll(all))
		}
		all, where.Unix, where.Boot = append(all, u), path, boot
	}
	if at := n.settings.RDMA; at != "" {
		r, err := transport.ListenRDMA(ctx, strings.ReplaceAll(at, "{}", strconv.Itoa(int(n.cfg.Core.Self))))
		if err != nil {
			return nil, where, errors.Join(err, closeAll(all))
		}
		n.cfg.Log.Info("listens over RDMA", "node", n.cfg.Core.Self, "at", r.Addr(), "by", r.Carrier())
		all, where.RDMA = append(all, r), r.Addr().String()
	}
	return all, where, nil
}

func closeAll(listeners []net.Listener) (err error) {
	for _, l := range listeners {
		err = errors.Join(err, l.Close())
	}
	return err
}

// sayEvery is how often a node says what it still waits for.
const sayEvery = 10 * time.Second

// ready waits for all others, as long as a recovery waits for one that is lost, and
// says for whom.
func (n *node) ready(ctx context.Context, network *transport.Transport) error {
	patient, stop := context.WithTimeout(ctx, n.settings.Patience)
	defer stop()
	for {
		wait, cancel := context.WithTimeout(patient, sayEvery)
		err := network.Ready(wait)
		cancel()
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case patient.Err() != nil:
			return &daemon.RefusedError{Err: fmt.Errorf("two nodes have failed at once: %v recovers, and has %w", n.cfg.Core.Self, err)}
		}
		n.cfg.Log.Warn("still waits, to recover", "node", n.cfg.Core.Self, "for", err)
	}
}

// serve runs the program until it is over.
func (n *node) serve(ctx context.Context, d *daemon.Daemon) (err error) {
	p, err := newProgram(n.sockets.path("program"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	if err := p.start(n.command, n.stdin, n.stdout, n.stderr); err != nil {
		return err
	}
	served, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		<-p.gone
		if p.err == nil && d.Joined() {
			return // Serve knows whether it was at its end
		}
		cancel(p.err)
	}()
	err = d.Serve(served, p.UnixListener)
	var refused *daemon.RefusedError
	if errors.As(err, &refused) {
		return err
	}
	return p.after(ctx, err)
}

// receiver is the daemon, for the transport. ends has a node that waits for others, to
// recover, wait no more.
type receiver struct {
	*daemon.Daemon
	ends context.CancelCauseFunc
}

// Nonsense ends a node that has a successor, or a past that it does not know of, or
// something to say that cannot be said.
func (r receiver) Nonsense(peer dsm.NodeID, why error) {
	for _, last := range []error{transport.ErrSuperseded, transport.ErrForgotten, transport.ErrTooLong} {
		if errors.Is(why, last) {
			err := &daemon.RefusedError{Err: why}
			r.Stop(err)
			r.ends(err)
			return
		}
	}
	r.Daemon.Nonsense(peer, why)
}

// stable is the store as the daemon has it.
type stable struct {
	*store.Store
	log *slog.Logger
}

// Begin says what is damaged: the program may be refused for it.
func (s stable) Begin() (uint32, *dsm.State, []byte, []logs.Kept, error) {
	inc, past, err := s.Store.Begin()
	if err != nil {
		return 0, nil, nil, nil, err
	}
	for _, err := range past.Damaged {
		s.log.Error("a checkpoint is damaged", "error", err)
	}
	return inc, past.State, past.Private, past.Window, nil
}
