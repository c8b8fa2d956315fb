// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os/exec"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"lazystate/internal/leash"
)

// useless is dsmd's exit if it would end in the same way again.
const useless = 4

// running is a run of a program.
type running struct {
	nodes   int
	dsmd    string
	args    []string // of each dsmd
	command []string
	env     []string
	most    int            // restarts of a node
	kills   map[int]uint32 // node: operation
	label   bool
	log     *slog.Logger
	input   input
	stdout  io.Writer
	stderr  io.Writer
	over    atomic.Bool // a node has ended well, so all programs have
}

// run ends when all nodes have, or one cannot go on.
func (r *running) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ends := make(chan error)
	for i := range r.nodes {
		go func() { ends <- r.keep(ctx, i) }()
	}
	var first error
	for range r.nodes {
		if err := <-ends; err != nil && first == nil {
			first = err
			cancel()
		}
	}
	return first
}

// keep has a node live until its program is over.
func (r *running) keep(ctx context.Context, i int) error {
	for life := 1; ; life++ {
		err := r.live(ctx, i, life)
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
		case life > r.most:
			return fmt.Errorf("node %d was started %d times: %w", i, life, err)
		}
		r.log.Warn("a node was lost and is started again", "node", i, "why", err)
	}
}

// drain is how long what a node has left behind may still write.
const drain = 5 * time.Second

// live is one life of a node.
func (r *running) live(ctx context.Context, i, life int) error {
	args := append([]string{"--node", strconv.Itoa(i)}, r.args...)
	if op, ok := r.kills[i]; ok && life == 1 {
		args = append(args, "--kill-at", strconv.FormatUint(uint64(op), 10))
	}
	args = append(append(args, "--"), r.command...)
	cmd := exec.Command(r.dsmd, args...)
	cmd.Env, cmd.WaitDelay = r.env, drain
	cmd.Stdout, cmd.Stderr = r.stdout, r.stderr
	stdin, err := r.input.open(i)
	if err != nil {
		return err
	}
	if stdin != nil {
		defer stdin.Close()
		cmd.Stdin = stdin
	}
	if r.label {
		out, errs := &labeled{to: r.stdout, node: i}, &labeled{to: r.stderr, node: i}
		defer out.end()
		defer errs.end()
		cmd.Stdout, cmd.Stderr = out, errs
	}
	wait, err := leash.Start(cmd, syscall.SIGKILL)
	if err != nil {
		return fmt.Errorf("start %s: %w", r.dsmd, err)
	}
	stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Signal(syscall.SIGTERM) })
	defer stop()
	return wait()
}
