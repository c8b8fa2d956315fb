// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

const ucxName = "UCX over TCP"

// ucx is Debian's ucx_perftest over TCP: a server and a client for each point.
type ucx struct{}

func openUCX(ctx context.Context) (carrier, error) {
	if _, err := exec.LookPath("ucx_perftest"); err == nil {
		return ucx{}, nil
	}
	if os.Geteuid() != 0 {
		return nil, &missingError{"UCX is not measured: ucx-utils is not installed, and this is not root"}
	}
	cmd := exec.CommandContext(ctx, "apt-get", "-qq", "-y", "install", "--no-install-recommends", "ucx-utils")
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, &missingError{fmt.Sprintf("UCX is not measured: install ucx-utils: %v: %s", err, bytes.TrimSpace(out))}
	}
	return ucx{}, nil
}

func (ucx) name() string { return ucxName }
func (ucx) Close() error { return nil }

// test is one of ucx_perftest, and what its latency is multiplied with.
type test struct {
	name  string
	times float64
}

func (u ucx) latency(ctx context.Context, k kind) (float64, error) {
	t := map[kind]test{read: {"ucp_get", 1}, write: {"ucp_put_lat", 2}, cas: {"ucp_cswap", 1}}[k]
	size := small
	if k == cas {
		size = 8
	}
	r, err := u.run(ctx, t.name, size, 1, 1000)
	return r.latency * t.times, err
}

func (u ucx) bandwidth(ctx context.Context, k kind) (float64, error) {
	t := map[kind]string{read: "ucp_get", write: "ucp_put_bw"}[k]
	r, err := u.run(ctx, t, large, depth, 500)
	return r.mbs, err
}

// figures of one run: median latency in us, MB/s.
type figures struct{ latency, mbs float64 }

func (ucx) run(ctx context.Context, name string, size, outstanding, iters int) (figures, error) {
	port, err := freePort()
	if err != nil {
		return figures{}, err
	}
	args := []string{"-t", name, "-s", strconv.Itoa(size), "-n", strconv.Itoa(iters), "-w", "100", "-p", strconv.Itoa(port), "-O", strconv.Itoa(outstanding), "-f", "-v"}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	command := func(args ...string) *exec.Cmd {
		cmd := exec.CommandContext(ctx, "ucx_perftest", args...)
		cmd.Env = append(os.Environ(), "UCX_TLS=tcp,self", "UCX_NET_DEVICES=lo", "UCX_WARN_UNUSED_ENV_VARS=n")
		return cmd
	}
	server := command(args...)
	if err := server.Start(); err != nil {
		return figures{}, err
	}
	defer func() {
		server.Process.Kill() // it has ended by itself if all went well
		server.Wait()
	}()
	out, err := dialUntil(ctx, func() ([]byte, error) { return command(append([]string{"127.0.0.1"}, args...)...).CombinedOutput() })
	if err != nil {
		return figures{}, fmt.Errorf("ucx_perftest %s: %w: %s", name, err, bytes.TrimSpace(out))
	}
	return parseUCX(out)
}

// dialUntil runs the client again while its server is not up yet.
func dialUntil(ctx context.Context, client func() ([]byte, error)) ([]byte, error) {
	for {
		out, err := client()
		if err == nil || !bytes.Contains(out, []byte("refused")) || ctx.Err() != nil {
			return out, err
		}
		time.Sleep(20 * time.Millisecond)
	}
}

var errNoFigures = errors.New("no line of figures")

// The columns of ucx_perftest -v.
const (
	columnP50 = 1 // us
	columnBW  = 5 // overall, in 2^20 bytes per second
	columns   = 8
)

// parseUCX reads the line of figures: iterations, median, average and overall
// latency, average and overall bandwidth and rate.
func parseUCX(out []byte) (figures, error) {
	for line := range strings.Lines(string(out)) {
		fields := strings.Split(strings.TrimSpace(line), ",")
		if len(fields) != columns {
			continue
		}
		p50, err1 := strconv.ParseFloat(fields[columnP50], 64)
		bw, err2 := strconv.ParseFloat(fields[columnBW], 64)
		if err1 == nil && err2 == nil {
			return figures{latency: p50, mbs: bw * (1 << 20) / 1e6}, nil
		}
	}
	return figures{}, fmt.Errorf("%w in %q", errNoFigures, out)
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
