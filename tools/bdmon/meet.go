// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"time"

	"lazystate/backdoor"
	"lazystate/sensorbox/fleet"
	"lazystate/tools/bdmon/config"
	"lazystate/tools/bdmon/peer"
)

// meet connects this monitor with the others, where there are any.
func (l *loop) meet(ctx context.Context, f *config.Fleet) error {
	if f == nil {
		return nil
	}
	return l.meetPeers(f)
}

func (l *loop) meetPeers(f *config.Fleet) error {
	id, err := peer.LoadIdentity(f.Identity)
	if err != nil {
		return err
	}
	m := &peer.Mesh{
		Identity: id, Self: f.Name, Listen: f.Listen, Beat: time.Duration(f.Lease) / fleet.Beats, Log: l.d.log,
		Heard: func(conn uint64, r *fleet.Report) { l.tell(fleet.Heard{Conn: conn, Report: r}) },
	}
	for _, other := range f.Monitors {
		key, err := peer.ParseKey(other.Key)
		if err != nil {
			return err
		}
		if other.Name != f.Name {
			m.Peers = append(m.Peers, peer.Peer{Name: other.Name, Address: other.Address, Key: key})
		} else if key != id.Public {
			return &wrongIdentity{f.Identity, id.Public.String()}
		}
	}
	if err := m.Start(); err != nil {
		return err
	}
	l.do(func() { l.talk = append(l.talk, m) })
	return nil
}

// wrongIdentity is a key that the other monitors do not know this one by.
type wrongIdentity struct{ path, public string }

func (e *wrongIdentity) Error() string {
	return "identity " + e.path + " belongs to the public key " + e.public + ", the configuration says another"
}

// link is the probe that the configuration names, nil if there is none.
func link(p *config.Probe) backdoor.Prober {
	if p == nil {
		return nil
	}
	return (*linkProbe)(p)
}
