// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"

	"lazystate/backdoor/guard"
	"lazystate/backdoor/uapi"
	"lazystate/internal/confile"
	"lazystate/internal/keyfile"
	"lazystate/tools/target"
)

const (
	defaultPath    = "/etc/lazystate/bdnic.yaml"
	defaultMetrics = "127.0.0.1:9465"
)

// config is the whole file.
type config struct {
	Target    string           `yaml:"target"`       // inic: or lab: URL
	Port      []string         `yaml:"port_command"` // takes it off its network at a fence; "": as the carrier can
	Keys      string           `yaml:"keys"`         // lines of slot and key, as bdagent has them
	Listen    []listen         `yaml:"listen"`
	Metrics   string           `yaml:"metrics"` // address of the Prometheus endpoint; "-": none
	Monitors  []monitor        `yaml:"monitors"`
	Agreement []agreement      `yaml:"agreement"`
	Hold      confile.Duration `yaml:"hold"` // see guard.Policy; absent: a minute
}

// listen is one way in.
type listen struct {
	Device  string `yaml:"device"`  // as verbs.Open takes it: roce://10.0.0.7
	Address string `yaml:"address"` // host:port
}

// monitor is the policy of one slot; a slot of the key file that is not named may
// do everything but fence.
type monitor struct {
	Slot  uint32   `yaml:"slot"`
	Name  string   `yaml:"name"`
	Read  []string `yaml:"read"`  // kinds of regions; absent: all
	Write []string `yaml:"write"` // likewise
	Lock  *bool    `yaml:"lock"`  // absent: yes, as own; fence must be given
	Own   *bool    `yaml:"own"`
	Fence bool     `yaml:"fence"`
}

// agreement is k of n for the reads or the writes of a kind of regions.
type agreement struct {
	Writes string           `yaml:"writes"`
	Reads  string           `yaml:"reads"`
	K      int              `yaml:"k"`
	Voters []uint32         `yaml:"voters"` // slots; absent: all
	Window confile.Duration `yaml:"window"`
}

// load reads and checks a file, and the keys it names.
func load(path string) (*config, guard.Policy, error) {
	b, err := confile.Read(path)
	if err != nil {
		return nil, guard.Policy{}, err
	}
	c, err := parse(b)
	if err != nil {
		return nil, guard.Policy{}, fmt.Errorf("%s: %w", path, err)
	}
	keys, err := keyfile.Slots(c.Keys, uapi.Monitors)
	if err != nil {
		return nil, guard.Policy{}, fmt.Errorf("%s: %w", path, err)
	}
	p, err := c.policy(keys)
	if err != nil {
		return nil, p, fmt.Errorf("%s: %w", path, confile.Locate(b, err))
	}
	if _, err := guard.New(p); err != nil {
		return nil, p, fmt.Errorf("%s: %w", path, err)
	}
	return c, p, nil
}

func parse(b []byte) (*config, error) {
	c := &config{Metrics: defaultMetrics}
	switch err := confile.Decode(b, c); {
	case errors.Is(err, io.EOF):
		return nil, errors.New("no target")
	case err != nil:
		return nil, err
	}
	return c, confile.Locate(b, c.check())
}

func (c *config) check() error {
	spec, err := target.Parse(c.Target)
	switch {
	case err != nil:
		return confile.At(".target", err)
	case spec.RDMA != nil:
		return confile.At(".target", errors.New("want the machine's own memory, by inic: or lab: URL"))
	case c.Keys == "":
		return errors.New("no keys: nobody could connect")
	case len(c.Listen) == 0:
		return errors.New("nothing to listen at")
	}
	for i, l := range c.Listen {
		if _, err := netip.ParseAddrPort(l.Address); err != nil {
			return confile.At(fmt.Sprintf(".listen[%d].address", i), err)
		}
		if l.Device == "" {
			return confile.At(fmt.Sprintf(".listen[%d]", i), errors.New("no device"))
		}
	}
	if c.Metrics != "-" {
		if _, _, err := net.SplitHostPort(c.Metrics); err != nil {
			return confile.At(".metrics", err)
		}
	}
	return nil
}

// policy is the guard's, of the file and the keys.
func (c *config) policy(keys []keyfile.Slot) (guard.Policy, error) {
	p := guard.Policy{
		Monitors: map[uint32]guard.Monitor{}, Writes: map[uint32]guard.Agreement{}, Reads: map[uint32]guard.Agreement{},
		Hold: dur(c.Hold),
	}
	for _, k := range keys {
		p.Monitors[k.Slot] = guard.Monitor{Key: k.Key, Read: everything, Write: everything, Lock: true, Own: true}
	}
	for i := range c.Monitors {
		m, where := &c.Monitors[i], fmt.Sprintf(".monitors[%d]", i)
		had, ok := p.Monitors[m.Slot]
		if !ok {
			return p, confile.At(where+".slot", fmt.Errorf("slot %d has no key in %s", m.Slot, c.Keys))
		}
		if had.Name != "" {
			return p, confile.At(where+".slot", fmt.Errorf("slot %d is named twice", m.Slot))
		}
		now, err := m.policy(had)
		if err != nil {
			return p, confile.At(where, err)
		}
		p.Monitors[m.Slot] = now
	}
	for i := range c.Agreement {
		if err := c.Agreement[i].add(&p); err != nil {
			return p, confile.At(fmt.Sprintf(".agreement[%d]", i), err)
		}
	}
	return p, nil
}

const everything = ^uint64(0)

func (m *monitor) policy(p guard.Monitor) (guard.Monitor, error) {
	var err error
	p.Name = m.Name
	if p.Name == "" {
		p.Name = fmt.Sprintf("monitor %d", m.Slot)
	}
	if p.Read, err = kinds(m.Read); err != nil {
		return p, confile.At(".read", err)
	}
	if m.Read != nil { // without its table nobody reads anything
		p.Read |= guard.Kinds(uapi.KindTable)
	}
	if p.Write, err = kinds(m.Write); err != nil {
		return p, confile.At(".write", err)
	}
	p.Lock, p.Own, p.Fence = m.Lock == nil || *m.Lock, m.Own == nil || *m.Own, m.Fence
	return p, nil
}

// kinds turns names of regions into a mask; nil is all.
func kinds(names []string) (uint64, error) {
	if names == nil {
		return everything, nil
	}
	mask := uint64(0)
	for _, name := range names {
		k, err := kind(name)
		if err != nil {
			return 0, err
		}
		mask |= guard.Kinds(k)
	}
	return mask, nil
}

// kind finds a region's kind by its name in kmod/uapi: kill_req.
func kind(name string) (uint32, error) {
	var all []string
	for k := uint32(1); k < uapi.KindHello; k++ { // from there on they are no regions
		known := strings.ReplaceAll(uapi.RegionKindName(k), " ", "_")
		if known == name {
			return k, nil
		}
		all = append(all, known)
	}
	return 0, fmt.Errorf("no regions are called %q; there are %s", name, strings.Join(all, ", "))
}

func (a *agreement) add(p *guard.Policy) error {
	to, name, field := p.Writes, a.Writes, ".writes"
	if a.Reads != "" {
		to, name, field = p.Reads, a.Reads, ".reads"
	}
	if (a.Reads == "") == (a.Writes == "") {
		return errors.New("want either writes or reads")
	}
	k, err := kind(name)
	if err != nil {
		return confile.At(field, err)
	}
	if _, twice := to[k]; twice {
		return confile.At(field, fmt.Errorf("%s is there twice", name))
	}
	voters := uint32(0)
	for _, slot := range a.Voters {
		if slot >= uapi.Monitors {
			return confile.At(".voters", fmt.Errorf("slot %d: a target has %d", slot, uapi.Monitors))
		}
		voters |= 1 << slot
	}
	to[k] = guard.Agreement{K: a.K, Voters: voters, Window: dur(a.Window)}
	return nil
}
