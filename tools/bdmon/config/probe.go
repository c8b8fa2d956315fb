// SPDX-License-Identifier: Apache-2.0

package config

import (
	"errors"
	"net"
)

// Probe looks at this side of the path to a target (§3.4.2), beside what the
// carrier knows itself.
type Probe struct {
	Interface string `yaml:"interface"` // must be up and have a carrier
	Address   string `yaml:"address"`   // host:port behind the same link, which must answer, if only with a refusal
}

func (p *Probe) check() error {
	switch {
	case p.Interface == "" && p.Address == "":
		return errors.New("want an interface, an address, or both")
	case p.Address != "":
		if _, _, err := net.SplitHostPort(p.Address); err != nil {
			return at(".address", err)
		}
	}
	return nil
}
