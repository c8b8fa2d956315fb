// SPDX-License-Identifier: Apache-2.0

package main

import (
	"time"

	"lazystate/backdoor"
	"lazystate/internal/identity"
	"lazystate/sensorbox/fleet"
	"lazystate/tools/bdmon/config"
	"lazystate/tools/bdmon/etcd"
	"lazystate/tools/bdmon/peer"
)

// meet connects this monitor with the others, where there are any.
func (l *loop) meet(f *config.Fleet) error {
	switch {
	case f == nil:
		return nil
	case f.Etcd != nil:
		return l.meetInEtcd(f)
	}
	return l.meetPeers(f)
}

// meetInEtcd takes epochs and leases from there; the targets' places stand behind them.
func (l *loop) meetInEtcd(f *config.Fleet) error {
	e := f.Etcd
	servers := etcd.Servers{Endpoints: e.Endpoints, CA: e.CA, Cert: e.Cert, CertKey: e.CertKey, User: e.User, PasswordFile: e.PasswordFile}
	connect, err := servers.Connector()
	if err != nil {
		return err
	}
	s, err := etcd.New(etcd.Options{
		Connect: connect, Prefix: f.Etcd.Prefix, Self: f.Name, TTL: l.cfg.Term().Truncate(time.Second), Clock: fleetClock, Log: l.d.log,
		Heard: func(conn uint64, r *fleet.Report) { l.tell(fleet.Heard{Conn: conn, Report: r}) },
		Gone:  func(monitor, why string) { l.tell(fleet.Gone{Monitor: monitor, Why: why}) },
	})
	if err != nil {
		return err
	}
	l.do(func() { l.roll, l.talk = s, append(l.talk, s) })
	return nil
}

func (l *loop) meetPeers(f *config.Fleet) error {
	id, err := identity.Load(f.Identity)
	if err != nil {
		return err
	}
	m := &peer.Mesh{
		Identity: id, Self: f.Name, Listen: f.Listen, Beat: time.Duration(f.Lease) / fleet.Beats, Log: l.d.log,
		Heard: func(conn uint64, r *fleet.Report) { l.tell(fleet.Heard{Conn: conn, Report: r}) },
	}
	for _, other := range f.Monitors {
		key, err := identity.ParseKey(other.Key)
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
