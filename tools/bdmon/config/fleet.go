// SPDX-License-Identifier: Apache-2.0

package config

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"lazystate/internal/identity"
	"lazystate/sensorbox/fleet"
)

// Fleet is several monitors for the same targets (§3.4.2, §3.5.1, §3.8).
type Fleet struct {
	Name     string    `yaml:"name"`     // of this monitor
	Lease    Duration  `yaml:"lease"`    // a monitor that dies is replaced within it
	Failback bool      `yaml:"failback"` // targets return to the first of their order
	Settle   Duration  `yaml:"settle"`   // once it has been well for so long; 0: 10 leases
	Balance  bool      `yaml:"balance"`  // spread targets without an order
	Identity string    `yaml:"identity"` // this monitor's private key
	Listen   string    `yaml:"listen"`   // for the others; "": its address
	Monitors []Monitor `yaml:"monitors"` // all of them, the most wanted owner first
	Etcd     *Etcd     `yaml:"etcd"`     // instead of connections among monitors
}

// Monitor is one of a fleet.
type Monitor struct {
	Name    string  `yaml:"name"`
	Address string  `yaml:"address"`
	Key     string  `yaml:"key"`    // public
	Weight  float64 `yaml:"weight"` // its share of balanced targets; 0: 1
	Target  string  `yaml:"target"` // the machine that it runs on, where that is a target here
}

// Etcd is where a large fleet meets.
type Etcd struct {
	Endpoints    []string `yaml:"endpoints"`
	Prefix       string   `yaml:"prefix"`
	CA           string   `yaml:"ca"`
	Cert         string   `yaml:"cert"`
	CertKey      string   `yaml:"cert_key"`
	User         string   `yaml:"user"`
	PasswordFile string   `yaml:"password_file"`
}

const (
	defaultLease  = Duration(5 * time.Second)
	shortestLease = Duration(500 * time.Millisecond)
	etcdLease     = Duration(3 * time.Second) // whose leases are whole seconds, two at least
	defaultPrefix = "/lazystate/"

	longestMonitor = 40 // bytes of a name: what an I-NIC's owner record has room for
)

func (f *Fleet) defaults() {
	if f.Lease == 0 {
		f.Lease = defaultLease
	}
	if f.Etcd != nil && f.Etcd.Prefix == "" {
		f.Etcd.Prefix = defaultPrefix
	}
	if me := f.self(); f.Listen == "" && me != nil {
		f.Listen = me.Address
	}
}

func (f *Fleet) self() *Monitor {
	i := slices.IndexFunc(f.Monitors, func(m Monitor) bool { return m.Name == f.Name })
	if i < 0 {
		return nil
	}
	return &f.Monitors[i]
}

func monitorName(name string) error {
	if !fleet.IsName(name) || len(name) > longestMonitor {
		return fmt.Errorf("%q: want 1 to %d printable characters", name, longestMonitor)
	}
	return nil
}

func (f *Fleet) check(targets []Target) error {
	if err := monitorName(f.Name); err != nil {
		return at(".name", err)
	}
	least := shortestLease
	if f.Etcd != nil {
		least = etcdLease
	}
	if f.Lease < least {
		return at(".lease", fmt.Errorf("%v: at least %v", time.Duration(f.Lease), time.Duration(least)))
	}
	seen, keys := map[string]bool{}, map[string]bool{}
	for i := range f.Monitors {
		m, where := &f.Monitors[i], fmt.Sprintf(".monitors[%d]", i)
		if seen[m.Name] {
			return at(where+".name", fmt.Errorf("%q is used twice", m.Name))
		}
		seen[m.Name] = true
		if m.Key != "" && keys[m.Key] {
			return at(where+".key", errors.New("another monitor has this key"))
		}
		keys[m.Key] = true
		if err := f.checkMonitor(m, targets); err != nil {
			return at(where, err)
		}
	}
	if f.Etcd != nil {
		return f.checkEtcd()
	}
	return f.checkStatic(seen)
}

func (f *Fleet) checkMonitor(m *Monitor, targets []Target) error {
	if err := monitorName(m.Name); err != nil {
		return at(".name", err)
	}
	if m.Weight < 0 || !(m.Weight <= fleet.HeaviestWeight) {
		return at(".weight", fmt.Errorf("%g: 0 to %d", m.Weight, fleet.HeaviestWeight))
	}
	if m.Target != "" && !slices.ContainsFunc(targets, func(t Target) bool { return t.Name == m.Target }) {
		return at(".target", fmt.Errorf("no target %q is configured", m.Target))
	}
	if f.Etcd != nil {
		if m.Address != "" || m.Key != "" {
			return errors.New("monitors that meet in etcd have no address and no key here")
		}
		return nil
	}
	if _, _, err := net.SplitHostPort(m.Address); err != nil {
		return at(".address", err)
	}
	if _, err := identity.ParseKey(m.Key); err != nil {
		return at(".key", err)
	}
	return nil
}

func (f *Fleet) checkStatic(names map[string]bool) error {
	switch {
	case !names[f.Name]:
		return at(".monitors", fmt.Errorf("this monitor, %s, is not among them", f.Name))
	case f.Identity == "":
		return errors.New("monitors that meet by themselves need an identity")
	}
	if _, _, err := net.SplitHostPort(f.Listen); err != nil {
		return at(".listen", err)
	}
	return nil
}

func (f *Fleet) checkEtcd() error {
	e := f.Etcd
	switch {
	case f.Identity != "" || f.Listen != "":
		return errors.New("monitors that meet in etcd have no identity and do not listen")
	case f.Balance:
		return at(".balance", errors.New("in etcd targets without an order are always spread"))
	case len(e.Endpoints) == 0:
		return at(".etcd", errors.New("no endpoints"))
	case !strings.HasPrefix(e.Prefix, "/") || !strings.HasSuffix(e.Prefix, "/"):
		return at(".etcd.prefix", fmt.Errorf("%q: want it to begin and end with a slash", e.Prefix))
	case (e.Cert == "") != (e.CertKey == ""):
		return at(".etcd", errors.New("cert and cert_key belong together"))
	case (e.User == "") != (e.PasswordFile == ""):
		return at(".etcd", errors.New("user and password_file belong together"))
	}
	for i, raw := range e.Endpoints {
		if err := e.checkEndpoint(raw); err != nil {
			return at(fmt.Sprintf(".etcd.endpoints[%d]", i), err)
		}
	}
	return nil
}

// checkEndpoint: whoever reaches etcd without a name can make himself the owner
// of every target, so it is spoken to in the clear on this machine alone.
func (e *Etcd) checkEndpoint(raw string) error {
	u, err := url.Parse(raw)
	if err != nil {
		return err
	}
	ip := net.ParseIP(u.Hostname())
	local := u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
	switch {
	case u.Scheme != "https" && u.Scheme != "http" || u.Port() == "":
		return fmt.Errorf("%q: want https://host:port", raw)
	case u.Scheme == "http" && !local:
		return fmt.Errorf("%q: want https, but on this machine itself", raw)
	case u.Scheme == "https" && e.Cert == "" && e.User == "":
		return fmt.Errorf("%q: want a cert or a user, that etcd knows who comes", raw)
	}
	return nil
}

// checkOrder: who is named must be there to be named.
func (t *Target) checkOrder(f *Fleet) error {
	if f == nil && len(t.Order) > 0 {
		return at(".order", errors.New("there is no fleet"))
	}
	for i, name := range t.Order {
		where := fmt.Sprintf(".order[%d]", i)
		if slices.Contains(t.Order[:i], name) {
			return at(where, fmt.Errorf("%q is there twice", name))
		}
		if f.Etcd == nil && !slices.ContainsFunc(f.Monitors, func(m Monitor) bool { return m.Name == name }) {
			return at(where, fmt.Errorf("no monitor %q is configured", name))
		}
	}
	return nil
}

// Member is what the pure half of the fleet is to know; name is this monitor's
// where there is no fleet. A target without a key is nobody's to own, and who
// only tries (dry_run) owns nothing.
func (c *Config) Member(name string) fleet.Config {
	m := fleet.Config{Self: name, Lease: time.Duration(defaultLease)}
	weights := map[string]float64{}
	if f := c.Fleet; f != nil {
		m.Self, m.Lease, m.Failback, m.Settle, m.Told = f.Name, time.Duration(f.Lease), f.Failback, time.Duration(f.Settle), f.Etcd != nil
		for _, other := range f.Monitors {
			weights[other.Name] = other.Weight
			if other.Weight == 0 {
				weights[other.Name] = 1
			}
			if !m.Told {
				m.Monitors = append(m.Monitors, other.Name)
			}
		}
		m.Weight = weights[f.Name]
	}
	for i := range c.Targets {
		t := &c.Targets[i]
		if t.KeyFile == "" || c.DryRun {
			continue
		}
		own := fleet.Target{Name: t.Name, Order: t.Order, Slot: t.Slot}
		if own.Order == nil && c.Fleet != nil && c.Fleet.Balance {
			own.Order = fleet.Spread(t.Name, weights)
		}
		m.Targets = append(m.Targets, own)
	}
	return m
}
