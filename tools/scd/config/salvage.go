// SPDX-License-Identifier: Apache-2.0

package config

import (
	"errors"
	"fmt"
	"net/netip"

	"lazystate/backdoor/uapi"
	"lazystate/internal/confile"
	"lazystate/internal/keyfile"
	"lazystate/mtcp"
	"lazystate/tools/target"
)

// Victim is a machine whose sessions go on here when it is dead (scd salvage), out
// of its memory.
type Victim struct {
	Name      string   `yaml:"name"`
	URL       string   `yaml:"url"`      // of its memory, as bdmon's targets have it
	Slot      uint32   `yaml:"slot"`     // of an rdma target: this reader's, not its monitor's
	KeyFile   string   `yaml:"key_file"` // likewise
	Device    string   `yaml:"device"`   // interface that its addresses come to
	Addresses []string `yaml:"addresses"`
	Policy    string   `yaml:"policy"` // minimal, whole; "": whole

	// NotAsking leaves its clients out of it, as §3.6.5 does: what is buffered goes out
	// before the addresses are taken over.
	NotAsking bool `yaml:"not_asking"`

	Prefixes []netip.Prefix `yaml:"-"`
	Moves    mtcp.Policy    `yaml:"-"`
}

func checkVictims(all []Victim) error {
	names := map[string]bool{}
	for i := range all {
		v := &all[i]
		if err := v.check(); err != nil {
			return confile.At(fmt.Sprintf(".salvage[%d]", i), err)
		}
		if names[v.Name] {
			return confile.At(fmt.Sprintf(".salvage[%d].name", i), fmt.Errorf("%q is used twice", v.Name))
		}
		names[v.Name] = true
	}
	return nil
}

func (v *Victim) check() error {
	spec, err := target.Parse(v.URL)
	switch {
	case v.Name == "":
		return confile.At(".name", errors.New("no name"))
	case err != nil:
		return confile.At(".url", err)
	case v.Slot >= uapi.Monitors:
		return confile.At(".slot", fmt.Errorf("slot %d: a target has %d", v.Slot, uapi.Monitors))
	case spec.RDMA != nil && spec.RDMA.KeyFile == "" && v.KeyFile == "":
		return confile.At(".url", errors.New("an rdma target needs a key_file"))
	case v.Device == "":
		return confile.At(".device", errors.New("want the interface that its addresses come to"))
	case len(v.Addresses) == 0:
		return confile.At(".addresses", errors.New("none"))
	}
	for i, a := range v.Addresses {
		p, err := netip.ParsePrefix(a)
		if err != nil || p.Addr().Is4In6() {
			return confile.At(fmt.Sprintf(".addresses[%d]", i), fmt.Errorf("%q: want an address with its subnet, such as 10.0.0.100/24", a))
		}
		v.Prefixes = append(v.Prefixes, p)
	}
	switch v.Policy {
	case "", mtcp.Whole.String():
		v.Moves = mtcp.Whole
	case mtcp.Minimal.String():
		v.Moves = mtcp.Minimal
	default:
		return confile.At(".policy", fmt.Errorf("%q: want %s or %s", v.Policy, mtcp.Minimal, mtcp.Whole))
	}
	return nil
}

// Key reads the reader's key; the zero key if none is configured.
func (v *Victim) Key() (uapi.Key, error) {
	if v.KeyFile == "" {
		return uapi.Key{}, nil
	}
	return keyfile.One(v.KeyFile)
}
