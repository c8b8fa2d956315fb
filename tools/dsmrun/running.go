// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"lazystate/dsm/store"
	"lazystate/internal/leash"
)

// useless is dsmd's exit if it would end in the same way again.
const useless = 4

// running is a run of a program, as far as it is this dsmrun's.
type running struct {
	here    []int // nodes
	hosts   hosts
	dsmd    string
	args    []string // of each dsmd
	command []string
	dir     string          // of checkpoints
	most    int             // restarts of a node, without a checkpoint between them
	kills   map[life]uint64 // at which operation
	label   bool
	bind    bool
	log     *slog.Logger
	stdin   input
	stdout  io.Writer
	stderr  io.Writer
	over    atomic.Bool // a node has ended well, so all programs have
}

// run ends when all nodes have, or one cannot go on.
func (r *running) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ends := make(chan error)
	for _, i := range r.here {
		go func() { ends <- r.keep(ctx, i) }()
	}
	var first error
	for range r.here {
		switch err := <-ends; {
		case err != nil && first == nil:
			first = err
			cancel()
		case err == nil:
			defer time.AfterFunc(last, cancel).Stop()
		}
	}
	return first
}

// last is how long nodes may stay when one has ended well, and so all programs have.
// One that was lost just then, and started again, would wait for the others for
// ever.
const last = 30 * time.Second

// saved is the number of a node's last checkpoint, 0 if there is none that can be seen.
func (r *running) saved(i int) uint32 {
	f, err := store.Look(filepath.Join(r.dir, fmt.Sprintf("node-%d", i)))
	if err != nil || len(f.Window) == 0 {
		return 0
	}
	return f.Window[len(f.Window)-1].Number
}

// keep has a node live until its program is over. One that dies again and again where it
// was is given up; a long run may lose a node as often as it likes.
func (r *running) keep(ctx context.Context, i int) error {
	for l, vain, saved := (life{i, 1}), 1, uint32(0); ; l.number, vain = l.number+1, vain+1 {
		err := r.live(ctx, l)
		if now := r.saved(i); now > saved {
			vain, saved = 1, now
		}
		var exit *exec.ExitError
		switch {
		case err == nil:
			r.over.Store(true)
			return nil
		case r.over.Load():
			return nil
		case ctx.Err() != nil:
			return fmt.Errorf("node %d: %w", i, ctx.Err())
		case errors.As(err, &exit) && exit.ExitCode() == useless, !errors.As(err, &exit):
			return fmt.Errorf("node %d: %w", i, err)
		case vain > r.most:
			return fmt.Errorf("node %d was started %d times, and made no checkpoint: %w", i, vain, err)
		}
		if exit.ExitCode() == unreachable && r.hosts.of(i) != "" {
			r.hosts.leave(i)
		}
		r.log.Warn("a node was lost and is started again", "node", i, "host", r.hosts.of(i), "why", err)
	}
}

// drain is how long what a node has left behind may still write.
const drain = 5 * time.Second

// live is one life of a node.
func (r *running) live(ctx context.Context, l life) error {
	cmd, done, err := r.prepare(l)
	if err != nil {
		return err
	}
	defer done()
	if r.label {
		out, errs := &labeled{to: r.stdout, node: l.node}, &labeled{to: r.stderr, node: l.node}
		defer out.end()
		defer errs.end()
		cmd.Stdout, cmd.Stderr = out, errs
	}
	wait, err := leash.Start(cmd, syscall.SIGKILL)
	if err != nil {
		return fmt.Errorf("start node %d: %w", l.node, err)
	}
	stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Signal(syscall.SIGTERM) })
	defer stop()
	return wait()
}

// prepare makes the command of a life. done is for when that is over.
func (r *running) prepare(l life) (cmd *exec.Cmd, done func(), err error) {
	i := l.node
	args := append([]string{"--node", strconv.Itoa(i)}, r.args...)
	if op, ok := r.kills[l]; ok {
		args = append(args, "--kill-at", strconv.FormatUint(op, 10))
	}
	if r.bind {
		args = append(args, "--processor", strconv.Itoa(r.hosts.place(i)))
	}
	if r.stdin.path != "" {
		args = append(args, "--stdin", r.stdin.path)
	}
	if cmd, err = r.hosts.command(i, r.dsmd, args, r.command); err != nil {
		return nil, nil, err
	}
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = r.stdout, r.stderr, drain
	if r.hosts.of(i) != "" {
		w, err := cmd.StdinPipe() // it ends with us
		return cmd, func() { _ = w.Close() }, err
	}
	if i == 0 && r.stdin.device != nil {
		cmd.Stdin = r.stdin.device
	}
	return cmd, func() {}, nil
}
