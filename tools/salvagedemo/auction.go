// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net/netip"

	"lazystate/tools/testbed"
)

// The auction of §3.6.7 (examples/auction): its front end is in the machine that dies, and
// at the recovery node; the middle tier, which stays, is at s1.
const (
	frontService = "auction-front"
	frontPort    = 5003
	frontControl = 5004
)

func (d *demo) auction(ctx context.Context) error {
	b := d.bed
	p, err := b.Launch(b.S1.Host, "auction", "init", "--database", d.dsn, "--categories", "1", "--users", "1", "--items", "0")
	if err != nil {
		return err
	}
	if err := p.Ended(ctx); err != nil {
		return fmt.Errorf("auction init: %w: %s", err, p.Said())
	}
	if _, err := b.S1.Serve(ctx, "auction", "middle", "--name", "mt1", "--keeper", "", "--listen", "0.0.0.0:PORT", "--database", d.dsn); err != nil {
		return err
	}
	if _, err := d.vm.Launch(ctx, "lazystate/examples/auction", d.front(testbed.VictimKeeper)...); err != nil {
		return err
	}
	if _, err := b.Launch(b.S2.Host, "auction", d.front(b.S2.Keeper)...); err != nil {
		return err
	}
	for _, at := range []netip.AddrPort{bidding, netip.AddrPortFrom(b.S2.Addr.Addr(), frontPort)} {
		if err := d.until(ctx, "the auction at "+at.String(), func() bool {
			c, err := b.Clients[0].Dial(ctx, at)
			return err == nil && c.Close() == nil
		}); err != nil {
			return err
		}
	}
	return nil
}

// front are its arguments, wherever it is.
func (d *demo) front(keeper string) []string {
	return []string{
		"front", "--keeper", keeper, "--listen", fmt.Sprint("0.0.0.0:", frontPort), "--control", fmt.Sprint("0.0.0.0:", frontControl),
		"--middle", "mt1=" + d.bed.S1.Addr.String(),
	}
}
