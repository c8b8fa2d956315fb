// SPDX-License-Identifier: Apache-2.0

package config

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"lazystate/internal/confile"
	"lazystate/mtcp/migrate"
	"lazystate/mtcp/policy"
)

// Policy is when sessions leave by themselves.
type Policy struct {
	By      string           `yaml:"by"`    // gateway, client
	Every   confile.Duration `yaml:"every"` // it is looked; 0: a second
	Shed    *Shed            `yaml:"shed"`
	Content []Rule           `yaml:"content"`

	Way   migrate.Way    `yaml:"-"`
	Rules policy.Content `yaml:"-"`
}

// Shed is in parts of the capacity.
type Shed struct {
	High float64 `yaml:"high"`
	Low  float64 `yaml:"low"`
}

// Rule says whose sessions a server has.
type Rule struct {
	Clients string `yaml:"clients"` // network
	Service string `yaml:"service"` // "": any
	To      string `yaml:"to"`
}

// Set reports whether there is a policy.
func (p *Policy) Set() bool { return p.Shed != nil || len(p.Content) > 0 }

func (p *Policy) check(c *Config) (err error) {
	if p.Every == 0 {
		p.Every = confile.Duration(time.Second)
	}
	if !p.Set() {
		return nil
	}
	if p.Way, err = migrate.ParseWay(p.By); err != nil || p.Way == migrate.ByTakeover {
		return confile.At(".policy.by", fmt.Errorf("%q: want gateway or client", p.By))
	}
	if s := p.Shed; s != nil && (s.Low <= 0 || s.High > 1 || s.Low > s.High) {
		return confile.At(".policy.shed", fmt.Errorf("from %g to %g: want 0 < low <= high <= 1", s.High, s.Low))
	}
	if p.Shed != nil && c.Capacity == 0 {
		return confile.At(".policy.shed", errors.New("want a capacity"))
	}
	for i, r := range p.Content {
		at := fmt.Sprintf(".policy.content[%d]", i)
		prefix, err := netip.ParsePrefix(r.Clients)
		if err != nil {
			return confile.At(at+".clients", err)
		}
		if r.To != "" && !slices.ContainsFunc(c.Peers, func(p Peer) bool { return p.Name == r.To }) {
			return confile.At(at+".to", fmt.Errorf("%q is no peer", r.To))
		}
		p.Rules = append(p.Rules, policy.Rule{Clients: prefix.Masked(), Service: r.Service, To: r.To})
	}
	return nil
}
