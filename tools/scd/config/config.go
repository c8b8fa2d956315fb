// SPDX-License-Identifier: Apache-2.0

package config

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os/user"
	"path/filepath"
	"strconv"

	"lazystate/backdoor/uapi"
	"lazystate/internal/confile"
	"lazystate/internal/identity"
)

// Config is the whole file.
type Config struct {
	Servers string `yaml:"servers"` // socket for the processes of this machine's services
	Socket  string `yaml:"socket"`  // control socket for scd ls, move, drain, salvage
	Group   string `yaml:"group"`   // whose members may use it; "": root and scd's own user
	Metrics string `yaml:"metrics"` // address of the Prometheus endpoint; "-": none
	Journal string `yaml:"journal"` // folder in memory

	Listen   string    `yaml:"listen"`   // for the other servers; "": none send sessions here
	Identity string    `yaml:"identity"` // this server's private key
	Peers    []Peer    `yaml:"peers"`
	Gateways []Peer    `yaml:"gateways"` // routers that clients come through; Serves is not used
	Services []Service `yaml:"services"`

	Interfaces []string `yaml:"interfaces"`  // towards clients whose agents move sessions; none: they find nobody
	SameClient bool     `yaml:"same_client"` // they do so from the address alone that they have here; not where a translator of addresses is on the way to other servers

	Sessions int              `yaml:"sessions"` // most that are kept; 0: no bound
	Bytes    int64            `yaml:"bytes"`    // most of their boxes; 0: no bound
	Orphan   confile.Duration `yaml:"orphan"`   // a session waits so long for a process; 0: for ever
	State    State            `yaml:"state"`

	Quota  Quota       `yaml:"quota"`  // most of it for each user
	Quotas []UserQuota `yaml:"quotas"` // and for those that have another

	Salvage []Victim `yaml:"salvage"` // machines whose sessions go on here when they die
	Pin     string   `yaml:"pin"`     // folder of a BPF file system, this daemon's alone: where a salvage is under way, no client is reset if it dies; "": some are

	Capacity int    `yaml:"capacity"` // sessions that this server is good for, as it tells its peers; 0: it does not say
	Policy   Policy `yaml:"policy"`
}

// Peer is another server.
type Peer struct {
	Name    string `yaml:"name"`
	Address string `yaml:"address"`
	Key     string `yaml:"key"` // as scd --new-identity printed it there
	// Serves are addresses and ports there to which clients' agents may take sessions.
	Serves []netip.AddrPort `yaml:"-"`
	Raw    []string         `yaml:"serves"`
}

// Service is one whose sessions may come and go.
type Service struct {
	Name   string `yaml:"name"`   // as its processes say it
	User   string `yaml:"user"`   // whose processes may be given sessions that come
	Listen string `yaml:"listen"` // address and port
	Device string `yaml:"device"` // interface of the address, if the address itself may move

	UID  uint32         `yaml:"-"`
	Addr netip.AddrPort `yaml:"-"`
}

// State bounds what another server may send; 0 is the default.
type State struct {
	Queues int    `yaml:"queues"` // bytes of a socket's queues
	Box    uint64 `yaml:"box"`    // bytes of a continuation box
	Total  int64  `yaml:"total"`  // bytes at once
}

// Defaults of the file.
const (
	DefaultPath    = "/etc/lazystate/scd.yaml"
	DefaultSocket  = "/run/lazystate/scd-control.sock"
	defaultServers = "/run/lazystate/scd.sock"
	defaultJournal = "/run/lazystate/scd-moves"
	defaultMetrics = "127.0.0.1:9465"
)

// Load reads and checks a file.
func Load(path string) (*Config, error) { return confile.Load(path, Parse) }

// Parse reads and checks a configuration. Errors begin with line and column.
func Parse(b []byte) (*Config, error) {
	c := &Config{Servers: defaultServers, Socket: DefaultSocket, Journal: defaultJournal, Metrics: defaultMetrics}
	if err := confile.Decode(b, c); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return c, confile.Locate(b, c.check())
}

func (c *Config) check() error {
	if c.Metrics != "-" {
		if _, _, err := net.SplitHostPort(c.Metrics); err != nil {
			return confile.At(".metrics", err)
		}
	}
	if c.Identity == "" && (c.Listen != "" || len(c.Peers) > 0) {
		return errors.New("servers that move sessions need an identity")
	}
	if c.Sessions < 0 || c.Bytes < 0 || c.State.Queues < 0 || c.State.Total < 0 {
		return errors.New("a negative bound")
	}
	if c.Pin != "" && !filepath.IsAbs(c.Pin) {
		return confile.At(".pin", fmt.Errorf("%q: want an absolute path, such as /sys/fs/bpf/scd", c.Pin))
	}
	if err := c.checkQuotas(); err != nil {
		return err
	}
	if err := checkPeers(".peers", c.Peers); err != nil {
		return err
	}
	if err := checkPeers(".gateways", c.Gateways); err != nil {
		return err
	}
	if err := c.Policy.check(c); err != nil {
		return err
	}
	for i := range c.Services {
		if err := c.Services[i].check(); err != nil {
			return confile.At(fmt.Sprintf(".services[%d]", i), err)
		}
	}
	return checkVictims(c.Salvage)
}

func checkPeers(list string, all []Peer) error {
	names, keys := map[string]bool{}, map[string]bool{}
	for i := range all {
		p := &all[i]
		at := fmt.Sprintf("%s[%d]", list, i)
		if p.Name == "" || names[p.Name] {
			return confile.At(at+".name", fmt.Errorf("%q: want a name of its own", p.Name))
		}
		if _, _, err := net.SplitHostPort(p.Address); err != nil {
			return confile.At(at+".address", err)
		}
		if err := p.Check(at); err != nil {
			return err
		}
		if keys[p.Key] {
			return confile.At(at+".key", errors.New("another peer has this key"))
		}
		names[p.Name], keys[p.Key] = true, true
	}
	return nil
}

// Check looks at what does not depend on other peers and fills Serves.
func (p *Peer) Check(at string) error {
	if _, err := identity.ParseKey(p.Key); err != nil {
		return confile.At(at+".key", err)
	}
	for j, raw := range p.Raw {
		a, err := netip.ParseAddrPort(raw)
		if err != nil || a.Port() == 0 || a.Addr().IsUnspecified() {
			return confile.At(fmt.Sprintf("%s.serves[%d]", at, j), fmt.Errorf("%q: want an address and a port", raw))
		}
		p.Serves = append(p.Serves, a)
	}
	return nil
}

func (s *Service) check() error {
	if s.Name == "" || len(s.Name) >= uapi.CboxName {
		return confile.At(".name", fmt.Errorf("%q: want 1 to %d bytes", s.Name, uapi.CboxName-1))
	}
	var err error
	if s.UID, err = uidOf(s.User); err != nil {
		return confile.At(".user", err)
	}
	if s.Addr, err = netip.ParseAddrPort(s.Listen); err != nil || s.Addr.Port() == 0 {
		return confile.At(".listen", fmt.Errorf("%q: want an address and a port", s.Listen))
	}
	if s.Device != "" && s.Addr.Addr().IsUnspecified() {
		return confile.At(".device", fmt.Errorf("%s is no address that can move", s.Addr.Addr()))
	}
	return nil
}

// uidOf takes a name or a number.
func uidOf(name string) (uint32, error) {
	if n, err := strconv.ParseUint(name, 10, 32); err == nil {
		return uint32(n), nil
	}
	u, err := user.Lookup(name)
	if err != nil {
		return 0, fmt.Errorf("user %q: %w", name, err)
	}
	n, err := strconv.ParseUint(u.Uid, 10, 32)
	return uint32(n), err
}
