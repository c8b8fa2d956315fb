// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"

	"lazystate/tools/bdmon/config"
)

// linkProbe looks at this side of the path to a target (§3.4.2) by the means
// that the configuration names, beside what the carrier knows itself.
type linkProbe config.Probe

// probeBound is how long an address may take to answer.
const probeBound = time.Second

// Probe implements backdoor.Prober.
func (p *linkProbe) Probe(ctx context.Context) error {
	if p.Interface != "" {
		i, err := net.InterfaceByName(p.Interface)
		if err != nil {
			return fmt.Errorf("interface %s: %w", p.Interface, err)
		}
		if want := net.FlagUp | net.FlagRunning; i.Flags&want != want {
			return fmt.Errorf("interface %s is %s", p.Interface, i.Flags)
		}
	}
	if p.Address == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, probeBound)
	defer cancel()
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", p.Address)
	if errors.Is(err, syscall.ECONNREFUSED) { // somebody said no: the link is good
		return nil
	}
	if err != nil {
		return err
	}
	return c.Close()
}
