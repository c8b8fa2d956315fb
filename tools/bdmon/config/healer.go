// SPDX-License-Identifier: Apache-2.0

package config

import (
	"errors"
	"fmt"
	"os/user"
	"slices"
	"strconv"
	"time"

	"lazystate/repair"
	"lazystate/repair/policy"
)

// Healer is a healing module and the sensors it is registered for.
type Healer struct {
	Kind    string   `yaml:"kind"` // proc, memory, external, salvage
	Sensors []string `yaml:"sensors"`
	Policy  *Policy  `yaml:"policy"`
	Spare   Spare    `yaml:"spare"`
	Confirm Duration `yaml:"confirm"` // how long a condition must last; 0: 2 s
	Nproc   int64    `yaml:"nproc"`   // process limit set for the accused first; 0: none

	Free  []string `yaml:"free"`  // memory: sensors of free RAM and swap, in pages
	Floor uint64   `yaml:"floor"` // memory: pages

	Name    string   `yaml:"name"` // external
	Argv    []string `yaml:"argv"` // external; salvage: run when the machine is fenced
	Timeout Duration `yaml:"timeout"`

	SCD     string   `yaml:"scd"`     // salvage: control socket of the recovery node's scd; "": the usual one
	Machine string   `yaml:"machine"` // salvage: what that calls the target
	Fence   Duration `yaml:"fence"`   // salvage: how long its CPUs may take to answer the fence; 0: 100 ms if its port is cut anyway, else 5 s

	Recovery   string `yaml:"recovery"`   // salvage: the recovery node's name, which the fence notes; "": this host's, with machine, else none
	Supersedes string `yaml:"supersedes"` // salvage: another one's, which is fenced whenever this monitor acts
}

// Spare is who is never killed.
type Spare struct {
	UIDs     []uint32  `yaml:"uids"`
	Users    []string  `yaml:"users"` // by name, as this machine knows them
	Commands []Command `yaml:"commands"`
	Root     bool      `yaml:"root"` // user 0 may be a culprit too
}

// Command spares the oldest processes of a name.
type Command struct {
	Name string  `yaml:"name"`
	UID  *uint32 `yaml:"uid"` // of this user; absent: of any
	Most int     `yaml:"most"`
}

// Policy is one basic policy with its limit, or a combination.
type Policy struct {
	All []Policy `yaml:"all"`
	Any []Policy `yaml:"any"`

	Weighted *Weighted `yaml:"weighted"`

	TooManyProcs     *float64 `yaml:"POLICY_TOO_MANY_PROCS"`
	RateTooHigh      *float64 `yaml:"POLICY_RATE_TOO_HIGH"`
	TreeTooDeep      *float64 `yaml:"POLICY_TREE_TOO_DEEP"`
	MaxRSS           *float64 `yaml:"POLICY_MAX_RSS"`
	MaxRSSUID        *float64 `yaml:"POLICY_MAX_RSSUID"`
	MaxRSSUIDSaveUID *float64 `yaml:"POLICY_MAX_RSSUID_SAVEUID"`
}

// Weighted is a sum of weight x (measure / limit) that accuses above its limit.
type Weighted struct {
	Limit float64 `yaml:"limit"`
	Terms []Term  `yaml:"terms"`
}

// Term is one POLICY_ name with its limit, and what it weighs.
type Term struct {
	Weight float64 `yaml:"weight"`
	Policy `yaml:",inline"`
}

func (w *Weighted) build() (policy.Policy, error) {
	var terms []policy.Term
	for i := range w.Terms {
		p, err := w.Terms[i].Policy.build()
		if err != nil {
			return nil, err
		}
		basic, ok := p.(policy.Basic)
		if !ok {
			return nil, fmt.Errorf("weighted: %s: a term is one POLICY_ name", p)
		}
		terms = append(terms, policy.Term{Weight: w.Terms[i].Weight, Basic: basic})
	}
	return policy.Weighted(w.Limit, terms...), nil
}

// build returns the policy; exactly one key of a Policy is set.
func (p *Policy) build() (policy.Policy, error) {
	var found []policy.Policy
	for kind, limit := range map[policy.Kind]*float64{
		policy.PolicyTooManyProcs: p.TooManyProcs, policy.PolicyRateTooHigh: p.RateTooHigh,
		policy.PolicyTreeTooDeep: p.TreeTooDeep, policy.PolicyMaxRSS: p.MaxRSS,
		policy.PolicyMaxRSSUID: p.MaxRSSUID, policy.PolicyMaxRSSUIDSaveUID: p.MaxRSSUIDSaveUID,
	} {
		if limit != nil {
			found = append(found, policy.Basic{Kind: kind, Limit: *limit})
		}
	}
	for _, c := range []struct {
		parts   []Policy
		combine func(...policy.Policy) policy.Policy
	}{{p.All, policy.All}, {p.Any, policy.Any}} {
		if c.parts == nil {
			continue
		}
		var built []policy.Policy
		for i := range c.parts {
			b, err := c.parts[i].build()
			if err != nil {
				return nil, err
			}
			built = append(built, b)
		}
		found = append(found, c.combine(built...))
	}
	if p.Weighted != nil {
		sum, err := p.Weighted.build()
		if err != nil {
			return nil, err
		}
		found = append(found, sum)
	}
	if len(found) != 1 {
		return nil, fmt.Errorf("policy: want one of all, any, weighted or a POLICY_ name, got %d of them", len(found))
	}
	return found[0], found[0].Check()
}

func (h *Healer) check() error {
	if !slices.Contains([]string{"proc", "memory", "external", kindSalvage}, h.Kind) {
		return at(".kind", errors.New("want proc, memory, external or salvage"))
	}
	if len(h.Sensors) == 0 {
		return errors.New("no sensors")
	}
	if h.Kind != "memory" && (h.Free != nil || h.Floor != 0) {
		return errors.New("free and floor belong to a memory healer")
	}
	if h.Kind != kindSalvage && (h.Kind == "external") != (h.Argv != nil) {
		return errors.New("argv belongs to an external healer, which needs it, or to a salvage healer")
	}
	if err := h.checkSalvage(); err != nil {
		return err
	}
	if h.Kind == "external" && h.Policy != nil {
		return errors.New("an external healer is its own policy")
	}
	if h.Nproc < 0 {
		return at(".nproc", errors.New("a limit is not negative"))
	}
	if h.Policy != nil {
		if _, err := h.Policy.build(); err != nil {
			return at(".policy", err)
		}
	}
	if _, err := h.Spare.build(); err != nil {
		return at(".spare", err)
	}
	healer, err := h.Build()
	if err != nil {
		return err
	}
	if c, ok := healer.(interface{ Check() error }); ok {
		return c.Check()
	}
	return nil
}

// Build returns the healing module.
func (h *Healer) Build() (repair.Healer, error) {
	var p policy.Policy
	var err error
	if h.Policy != nil {
		if p, err = h.Policy.build(); err != nil {
			return nil, err
		}
	}
	spare, err := h.Spare.build()
	if err != nil {
		return nil, err
	}
	confirm, reaper := repair.Confirm{Window: time.Duration(h.Confirm)}, repair.Reaper{Nproc: h.Nproc}
	switch h.Kind {
	case kindSalvage:
		return h.salvage(), nil
	case "memory":
		return &repair.MemReclaimHealer{Policy: p, Spare: spare, Confirm: confirm, Reaper: reaper, Free: h.Free, Floor: h.Floor}, nil
	case "external":
		return &repair.External{Label: h.Name, Argv: h.Argv, Timeout: time.Duration(h.Timeout), Spare: spare, Confirm: confirm, Reaper: reaper}, nil
	}
	return &repair.ProcRepairHealer{Policy: p, Spare: spare, Confirm: confirm, Reaper: reaper}, nil
}

func (s *Spare) build() (policy.Spare, error) {
	spare := policy.Spare{UIDs: slices.Clone(s.UIDs), Root: s.Root}
	for _, name := range s.Users {
		u, err := user.Lookup(name)
		if err != nil {
			return spare, fmt.Errorf("spare: %w", err)
		}
		uid, err := strconv.ParseUint(u.Uid, 10, 32)
		if err != nil {
			return spare, fmt.Errorf("spare user %s: uid %s", name, u.Uid)
		}
		spare.UIDs = append(spare.UIDs, uint32(uid))
	}
	for _, c := range s.Commands {
		if c.Name == "" {
			return spare, errors.New("spare: a command without a name")
		}
		uid := uint32(policy.AnyUID)
		if c.UID != nil {
			uid = *c.UID
		}
		spare.Comms = append(spare.Comms, policy.Comm{Name: c.Name, UID: uid, Most: c.Most})
	}
	return spare, nil
}
