// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"lazystate/backdoor"
	"lazystate/backdoor/bdtest"
	"lazystate/backdoor/uapi"
	"lazystate/examples/outcome/pgtest"
	"lazystate/internal/netrig"
	"lazystate/mtcp/extract/extracttest"
	"lazystate/mtcp/keeper"
	"lazystate/mtcp/keeper/keepertest"
	"lazystate/mtcp/salvage"
	"lazystate/mtcp/steer"
	"lazystate/mtcp/takeover"
	"lazystate/mtcp/tcprepair"
	"lazystate/tools/lab"
)

// branch is a machine with both processes of the shop.
type branch struct {
	*netrig.Host
	t      *testing.T
	keep   *keeper.Keeper
	socket string
	procs  []*exec.Cmd
}

const branchPort = "8000"

func branchAt(t *testing.T, h *netrig.Host, dsn string, env ...string) *branch {
	t.Helper()
	b := &branch{Host: h, t: t, keep: keeper.New(keeper.Config{Log: slog.New(slog.DiscardHandler)}), socket: filepath.Join(t.TempDir(), "scd")}
	l, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: b.socket, Net: "unixpacket"})
	if err != nil {
		t.Fatal(err)
	}
	go b.keep.Serve(l)
	t.Cleanup(func() { l.Close(); b.keep.Close() })
	for _, args := range [][]string{
		{"back", "--keeper", b.socket, "--database", dsn},
		{"front", "--keeper", b.socket, "--listen", "0.0.0.0:" + branchPort},
	} {
		cmd := keepertest.Command(t, args...)
		cmd.Env = append(cmd.Env, env...)
		b.Do(cmd.Start)
		b.procs = append(b.procs, cmd)
	}
	t.Cleanup(b.end)
	return b
}

func (b *branch) end() {
	for _, p := range b.procs {
		_ = p.Process.Kill()
		_ = p.Wait()
	}
	b.procs = nil
}

// rescue salvages, at this branch, what a machine's memory has of another.
func (b *branch) rescue(machine *bdtest.Target, key uapi.Key, service netip.Prefix) (r *salvage.Report) {
	b.t.Helper()
	target, err := backdoor.Open(b.t.Context(), machine.Memory())
	if err != nil {
		b.t.Fatal(err)
	}
	b.Do(func() error {
		gate, err := steer.OpenServer(steer.ServerConfig{Interfaces: []string{netrig.Dev}})
		if err != nil {
			return err
		}
		b.t.Cleanup(func() { gate.Close() })
		link, err := takeover.Open(netrig.Dev)
		if err != nil {
			return err
		}
		b.t.Cleanup(func() { link.Close() })
		place, err := salvage.OnLink(link)
		if err != nil {
			return err
		}
		b.t.Cleanup(func() { place.Close() })
		stack, err := tcprepair.Open()
		if err != nil {
			return err
		}
		b.t.Cleanup(stack.Close)
		r, err = salvage.Run(b.t.Context(), salvage.Config{
			Target: target, Fence: func(ctx context.Context) error { return target.Fence(ctx, backdoor.FenceOptions{Key: key}) },
			Services: []netip.Prefix{service}, Gate: gate, Place: place, Stack: stack, Keeper: b.keep,
		})
		return err
	})
	return r
}

// bury leaves of a branch what lies in its machine's memory.
func (b *branch) bury(machine *bdtest.Target, service netip.Prefix) {
	b.t.Helper()
	var stack *tcprepair.Stack
	b.Do(func() (err error) { stack, err = tcprepair.Open(); return err })
	b.t.Cleanup(stack.Close)
	frozen, err := extracttest.Dig(machine, "6.12").All(b.keep, stack, nil)
	if err != nil || len(frozen) != 1 {
		b.t.Fatalf("%d sessions: %v", len(frozen), err)
	}
	b.Unaddr(service.String())
	for _, f := range frozen {
		if err := f.Discard(); err != nil {
			b.t.Fatal(err)
		}
	}
	b.end()
}

// The machine of both processes dies at each point of the work on the second of
// three orders; PostgreSQL is not told. Each is made exactly once, by another
// machine that reads the session out of the dead one's memory (§3.6.3).
func TestMachineDies(t *testing.T) {
	if err := netrig.Usable(); err != nil {
		lab.Skip(t, err.Error())
	}
	dsn := stocked(t)
	service, key := netip.MustParsePrefix("10.9.0.100/24"), uapi.Key{1}
	for _, point := range []string{"begun", "exported", "committed", "replied", "asked", "answered"} {
		t.Run(point, func(t *testing.T) {
			pgtest.Exec(t, dsn, "DELETE FROM orders; UPDATE item SET stock = 1000 WHERE name = 'pen'")
			r := netrig.New(t, "client", "s1", "s2")
			client := r.Host("client")
			client.Addr("10.9.0.9/24")
			for i, name := range []string{"s1", "s2"} {
				r.Host(name).Addr("10.9.0." + strconv.Itoa(i+1) + "/24")
			}
			r.Host("s1").Addr(service.String())
			there := filepath.Join(t.TempDir(), "there")
			far := pgtest.Relayed(t, dsn, false)
			one := branchAt(t, r.Host("s1"), far.DSN, waitAt+"="+point+":2:"+there)
			two := branchAt(t, r.Host("s2"), dsn)
			o := &open{Service: &keepertest.Service{Addr: net.JoinHostPort(service.Addr().String(), branchPort)}, t: t, dsn: dsn}
			var c *keepertest.Client
			client.Do(func() error { c = o.shopping(2, 3, 4); return nil })
			for end := time.Now().Add(keepertest.Hang); ; time.Sleep(5 * time.Millisecond) {
				if _, err := os.Stat(there); err == nil {
					break
				}
				if time.Now().After(end) {
					t.Fatalf("%s of the second order does not come", point)
				}
			}
			members, values := extracttest.Manifest("6.12")
			machine := bdtest.New(bdtest.WithRAM(16<<20), bdtest.WithManifest(members, values), bdtest.WithBoxes(8, 8*64), bdtest.WithFence(), bdtest.WithKey(0, key))
			one.bury(machine, service)
			if report := two.rescue(machine, key, service); report.Saved() != 1 {
				t.Fatalf("%+v", report.Sessions)
			}
			o.balance(c.Rest(), 2, 3, 4)
		})
	}
}
