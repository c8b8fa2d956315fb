// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"lazystate/bench/guest"
	"lazystate/internal/pause"
	"lazystate/tools/lab"
)

// verbs runs our pair of processes.
func (c *cell) verbs(ctx context.Context, client, server *guest.Guest, addr string) (float64, error) {
	at := addr + ":7700"
	out, err := with(ctx, server, []string{"reads", "--listen", at}, func() (string, error) {
		return again(ctx, client, "nobody listens", "reads", "--dial", at, "--size", strconv.Itoa(c.size), "--iters", strconv.Itoa(c.iters),
			"--depth", strconv.Itoa(c.depth), "--every", strconv.Itoa(c.every))
	})
	if err != nil {
		return 0, err
	}
	var r struct {
		MedianUs float64 `json:"median_us"`
		MiBPerS  float64 `json:"mib_per_s"`
	}
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		return 0, fmt.Errorf("reads said %q: %w", out, err)
	}
	if c.depth == 1 {
		return r.MedianUs, nil
	}
	return r.MiBPerS, nil
}

// perftest runs its pair of processes.
func (c *cell) perftest(ctx context.Context, client, server *guest.Guest, addr string) (float64, error) {
	program, column := "ib_read_bw", "BW average[MB/sec]" // its MB are MiB
	args := []string{"-d", "rxe0", "-x", "1", "-F", "-s", strconv.Itoa(c.size), "-n", strconv.Itoa(c.iters)}
	if c.depth == 1 {
		program, column = "ib_read_lat", "t_typical[usec]"
	} else {
		args = append(args, "-t", strconv.Itoa(c.depth), "-Q", strconv.Itoa(c.every))
	}
	out, err := with(ctx, server, append([]string{program}, args...), func() (string, error) {
		return again(ctx, client, "Couldn't connect", append([]string{program}, append(args, addr)...)...)
	})
	if err != nil {
		return 0, err
	}
	return cellOf(out, column)
}

// with runs f while a server runs in the guest.
func with(ctx context.Context, g *guest.Guest, argv []string, f func() (string, error)) (string, error) {
	pid, err := g.VM.Start(ctx, lab.Proc{Argv: argv})
	if err != nil {
		return "", err
	}
	defer g.Stop(pid)
	return f()
}

// again runs a client until its server is there.
func again(ctx context.Context, g *guest.Guest, early string, argv ...string) (string, error) {
	for end := time.Now().Add(20 * time.Second); ; {
		r, err := g.VM.Run(ctx, argv...)
		if err != nil {
			return "", err
		}
		if r.Exit == 0 {
			return r.Stdout, nil
		}
		if !strings.Contains(r.Stdout+r.Stderr, early) || time.Now().After(end) {
			return "", fmt.Errorf("%s: exit %d: %s%s", strings.Join(argv, " "), r.Exit, r.Stdout, r.Stderr)
		}
		if err := pause.For(ctx, 20*time.Millisecond); err != nil {
			return "", err
		}
	}
}

// cellOf reads a column of perftest's table: a line of headings that begins with
// #bytes, and one of values.
func cellOf(out, column string) (float64, error) {
	lines := strings.Split(out, "\n")
	for i, l := range lines {
		if !strings.HasPrefix(strings.TrimSpace(l), "#bytes") || i+1 == len(lines) {
			continue
		}
		heads, values := headings(l), strings.Fields(lines[i+1])
		for k, h := range heads {
			if h == column && k < len(values) {
				return strconv.ParseFloat(values[k], 64)
			}
		}
	}
	return 0, fmt.Errorf("perftest printed no %q: %s", column, out)
}

// headings splits perftest's headings; some have one space in them.
func headings(l string) []string {
	var heads []string
	for _, h := range strings.Fields(l) {
		if n := len(heads); n > 0 && heads[n-1] == "BW" {
			heads[n-1] += " " + h
			continue
		}
		heads = append(heads, h)
	}
	return heads
}
