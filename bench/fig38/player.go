// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"time"

	"github.com/vishvananda/netlink"

	"lazystate/tools/lab"
)

// player runs the clients of bench/apps/stream in the VM's network namespace.
type player struct {
	program string
	net     string
	streams int
	length  time.Duration

	cmd *exec.Cmd
	out bytes.Buffer
}

// start forks on a thread inside the namespace, which the child inherits.
func (p *player) start(ctx context.Context) error {
	return lab.InNetns(p.net, func() error {
		p.cmd = exec.CommandContext(ctx, p.program, "play", "--addr", server,
			"--streams", strconv.Itoa(p.streams), "--for", p.length.String())
		p.cmd.Stdout, p.cmd.Stderr = &p.out, os.Stderr
		return p.cmd.Start()
	})
}

// wait checks that every stream was heard at its rate: a trace under a load
// that was not there would be a false figure.
func (p *player) wait() error {
	if err := p.cmd.Wait(); err != nil {
		return fmt.Errorf("clients: %w", err)
	}
	var r struct {
		Streams int   `json:"streams"`
		Bytes   int64 `json:"bytes"`
	}
	if err := json.Unmarshal(p.out.Bytes(), &r); err != nil {
		return fmt.Errorf("clients: %w", err)
	}
	if want := float64(p.streams) * 16000 * p.length.Seconds(); float64(r.Bytes) < 0.8*want {
		return fmt.Errorf("clients heard %d bytes of %.0f: the load was not there", r.Bytes, want)
	}
	return nil
}

// giveAddress makes the bridge of a namespace the guests' neighbour.
func giveAddress(net, cidr string) error {
	return lab.InNetns(net, func() error {
		br, err := netlink.LinkByName("br0")
		if err != nil {
			return fmt.Errorf("bridge of %s: %w", net, err)
		}
		addr, err := netlink.ParseAddr(cidr)
		if err != nil {
			return err
		}
		if err := netlink.AddrAdd(br, addr); err != nil && !errors.Is(err, os.ErrExist) {
			return fmt.Errorf("give %s to the bridge: %w", cidr, err)
		}
		return nil
	})
}
