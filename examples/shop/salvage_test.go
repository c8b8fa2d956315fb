// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net"
	"net/netip"
	"path/filepath"
	"strconv"
	"testing"

	"lazystate/examples/mortal"
	"lazystate/examples/outcome/pgtest"
	"lazystate/internal/netrig"
	"lazystate/mtcp/keeper/keepertest"
	"lazystate/tools/lab"
)

const branchPort = "8000"

// branch is a machine with both processes of the shop.
func branch(t *testing.T, h *netrig.Host, dsn string, env ...string) *mortal.Machine {
	t.Helper()
	m := mortal.New(t, h)
	m.Run(env, "back", "--keeper", m.Socket, "--database", dsn)
	m.Run(env, "front", "--keeper", m.Socket, "--listen", "0.0.0.0:"+branchPort)
	return m
}

// The machine of both processes dies at each point of the work on the second of
// three orders; PostgreSQL is not told. Each is made exactly once, by another
// machine that reads the session out of the dead one's memory (§3.6.3).
func TestMachineDies(t *testing.T) {
	if err := netrig.Usable(); err != nil {
		lab.Skip(t, err.Error())
	}
	dsn := stocked(t)
	service := netip.MustParsePrefix("10.9.0.100/24")
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
			one := branch(t, r.Host("s1"), pgtest.Relayed(t, dsn, false).DSN, keepertest.WaitAt+"="+point+":2:"+there)
			rescuer := branch(t, r.Host("s2"), dsn).Rescuer()
			var c *keepertest.Client
			client.Do(func() error {
				c = shopping(t, net.JoinHostPort(service.Addr().String(), branchPort), 2, 3, 4)
				return nil
			})
			keepertest.Await(t, there)
			if report := rescuer.Salvage(one.Die(service), service); report.Saved() != 1 {
				t.Fatalf("%+v", report.Sessions)
			}
			balance(t, dsn, c.Rest(), 2, 3, 4)
		})
	}
}
