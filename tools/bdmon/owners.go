// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"lazystate/sensorbox/fleet"
	"lazystate/tools/control"
)

// longestOwnName is what an I-NIC's owner record has room for.
const longestOwnName = 40

// ownName is this monitor's where the configuration has no fleet.
func ownName() string {
	name, err := os.Hostname()
	if err != nil || !fleet.IsName(name) {
		name = "bdmon"
	}
	return name[:min(len(name), longestOwnName)]
}

// status asks the loop, which has the last word on who owns what.
func (l *loop) status() (all []fleet.Status, peers []fleet.Peer, now time.Duration) {
	l.do(func() {
		now = fleetClock()
		all, peers = l.m.Status(now), l.m.Peers(now)
	})
	return all, peers, now
}

// owners is what bdctl shows.
func (l *loop) owners() []control.Ownership {
	all, peers, now := l.status()
	why := map[string]string{}
	for _, p := range peers {
		why[p.Monitor] = p.Why
	}
	rows := []control.Ownership{}
	for _, s := range all {
		row := control.Ownership{
			Target: s.Target, Owner: s.Owner, Epoch: s.Epoch, Phase: s.Phase.String(), Path: s.Path.String(),
			Seconds: (now - s.Since).Seconds(), Why: s.Why, Conflicts: s.Conflicts, Monitors: []control.Candidate{},
		}
		if s.Phase == fleet.Owning && s.Until > 0 {
			left := (s.Until - now).Seconds()
			row.LeaseLeft = &left
		}
		for _, c := range s.Monitors {
			row.Monitors = append(row.Monitors, control.Candidate{Monitor: c.Monitor, Alive: c.Alive, Path: c.Path.String(), Why: why[c.Monitor]})
		}
		rows = append(rows, row)
	}
	return rows
}

// places are read when Prometheus asks.
type places struct{ d *daemonState }

var (
	ownerDesc    = prometheus.NewDesc("backdoor_owner", "1 while this monitor owns the target.", []string{"target"}, nil)
	epochDesc    = prometheus.NewDesc("backdoor_owner_epoch", "Epoch of the target's owner, as far as it is known here.", []string{"target"}, nil)
	pathDesc     = prometheus.NewDesc("backdoor_path_good", "1 while this monitor has a good path to the target.", []string{"target"}, nil)
	conflictDesc = prometheus.NewDesc("backdoor_owner_conflicts", "Ways in which other monitors' configurations contradict this one.", []string{"target"}, nil)
	monitorDesc  = prometheus.NewDesc("backdoor_monitor_up", "1 while another monitor of the fleet is believed to live.", []string{"monitor"}, nil)
)

func (p *places) Describe(c chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{ownerDesc, epochDesc, pathDesc, conflictDesc, monitorDesc} {
		c <- d
	}
}

func (p *places) Collect(c chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, label string) {
		c <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, label)
	}
	one := func(yes bool) float64 {
		if yes {
			return 1
		}
		return 0
	}
	all, peers, _ := p.d.loop.status()
	for _, s := range all {
		gauge(ownerDesc, one(s.Phase == fleet.Owning), s.Target)
		gauge(epochDesc, float64(s.Epoch), s.Target)
		gauge(pathDesc, one(s.Path == fleet.PathGood), s.Target)
		gauge(conflictDesc, float64(len(s.Conflicts)), s.Target)
	}
	for _, other := range peers {
		gauge(monitorDesc, one(other.Alive), other.Monitor)
	}
}
