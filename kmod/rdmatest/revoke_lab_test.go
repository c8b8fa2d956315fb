// SPDX-License-Identifier: Apache-2.0

package rdmatest

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lazystate/backdoor/uapi"
	"lazystate/tools/lab"
	"lazystate/tools/lab/armed"
)

// agent runs bdagent, which load has put into the target.
func (k *loaded) agent(t *testing.T, args ...string) {
	t.Helper()
	run(t, k.vm, append([]string{armed.Agent}, args...)...)
}

func (k *loaded) policy(t *testing.T, text string) {
	t.Helper()
	const file = "/tmp/policy"
	if err := k.vm.WriteFile(t.Context(), file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	k.agent(t, "--keys-only", "--keys", armed.KeysFile, "--policy", file)
}

func (k *loaded) inject(t *testing.T) {
	t.Helper()
	if err := k.vm.Insmod(t.Context(), lab.Module(t, k.vm, "bd_inject"), "i_am_a_lab=1"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { k.vm.Run(context.Background(), "rmmod", "bd_inject") })
}

const trigger = "/sys/module/bd_inject/parameters/trigger"

func (k *loaded) trigger(t *testing.T, fault string) {
	t.Helper()
	if err := k.vm.WriteFile(t.Context(), trigger, []byte(fault), 0); err != nil {
		t.Fatal(err)
	}
}

// gone: its keys count no more.
func (c *conn) gone(t *testing.T) {
	t.Helper()
	if _, err := c.tryRead(t, c.grant.RootAddr, c.grant.RootKey, 8); err == nil {
		t.Errorf("grant %d of monitor %d can still be read with", c.grant.Grant, c.grant.Monitor)
	}
	c.close(t)
}

func (c *conn) stands(t *testing.T) {
	t.Helper()
	c.read(t, c.grant.RootAddr, c.grant.RootKey, uapi.RootSize)
}

// revoked: a monitor whose key is taken away is out at once, with all its
// queue pairs; the others notice nothing.
func (k *loaded) revoked(t *testing.T) {
	a, other := k.dial(t, hello{}), k.dial(t, hello{monitor: 1})
	joined := k.dial(t, hello{join: a.grant.Grant})
	k.agent(t, "--keys-only", "--keys", armed.KeysFile) // the same keys again
	a.stands(t)
	k.agent(t, "--revoke", "0")
	a.gone(t)
	joined.gone(t)
	other.stands(t)
	k.refused(t, hello{}, uapi.DenyNoKey)
	if lines := k.grants(t, 1); !strings.Contains(lines[0], "monitor 1") {
		t.Errorf("%q", lines)
	}
	k.agent(t, "--keys-only", "--keys", armed.KeysFile)
	k.dial(t, hello{}).close(t)
	other.close(t)
	k.healthy(t)
}

// TestPolicy: each monitor gets what its policy says and no more, and a change
// ends the connections it concerns.
// In make test on one kernel: it is the same code on both.
func TestPolicy(t *testing.T) {
	onOne(t, "6.1", func(t *testing.T, kernel string) {
		k := load(t, kernel, "allow_repair=1")
		all, one := k.dial(t, hello{}), k.dial(t, hello{monitor: 1})
		k.policy(t, "1 sensorbox,uids,lock.ack kill lock\n")
		all.stands(t)
		one.gone(t)
		one = k.dial(t, hello{monitor: 1})
		regions := one.table(t)
		want := []string{"kill", "lock.ack", "sensorbox", "table", "uids"}
		if d := cmp.Diff(want, slices.Sorted(maps.Keys(regions))); d != "" {
			t.Error(d)
		}
		if g := one.grant; g.Flags&uapi.GrantLock != 0 || g.Write != 1<<uapi.KindKillReq || g.Read != 1<<uapi.KindTable|1<<uapi.KindSensorbox|1<<uapi.KindUIDs|1<<uapi.KindLockAck {
			t.Errorf("the grant: %+v", g)
		}
		r := regions["kill"]
		if r.Perm != uapi.PermWrite {
			t.Errorf("kill: permission %d", r.Perm)
		}
		one.write(t, r.Addr+uapi.KillReqsSlotOff, r.Key, make([]byte, 8))
		if _, err := one.tryRead(t, r.Addr, r.Key, 8); err != statusAccess {
			t.Errorf("read of what it may only write: %v", err)
		}
		k.policy(t, "1 none none\n0 all all lock fence own\nseal\n")
		all.stands(t) // nothing is new for monitor 0
		for line, want := range map[string]string{"1 all all": "EPERM", "agree kill 2 of 0,1 within 1s": "EPERM"} {
			if err := k.vm.WriteFile(t.Context(), "/tmp/policy", []byte(line+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			res, err := k.vm.Run(t.Context(), armed.Agent, "--keys-only", "--keys", armed.KeysFile, "--policy", "/tmp/policy")
			if err != nil || res.Exit == 0 || !strings.Contains(res.Stderr, "operation not permitted") {
				t.Errorf("%s after seal: exit %d, %s (%v), want %s", line, res.Exit, res.Stderr, err, want)
			}
		}
		k.agent(t, "--revoke", "0") // what only takes away is always allowed
		all.gone(t)
	})
}
