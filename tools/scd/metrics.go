// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics are what Prometheus asks for. Sessions and processes are never labels.
func (d *state) metrics() http.Handler {
	r := prometheus.NewRegistry()
	for name, f := range map[string]func() float64{
		"mtcp_sessions":          func() float64 { return float64(len(d.keeper.Sessions())) },
		"mtcp_sessions_orphaned": d.orphaned,
		"mtcp_box_bytes":         d.boxBytes,
	} {
		r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help[name]}, f))
	}
	for name, f := range map[string]func() uint64{
		"mtcp_sessions_left_total": d.mover.Stats.Left,
		"mtcp_sessions_came_total": d.mover.Stats.Came,
		"mtcp_moves_undone_total":  d.mover.Stats.Undone,
		"mtcp_sought_total":        d.mover.Stats.Sought,
		"mtcp_over_quota_total":    d.keeper.Refused,
		"mtcp_over_rate_total":     d.mover.TooOften,
	} {
		r.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help[name]}, func() float64 { return float64(f()) }))
	}
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{})
}

var help = map[string]string{
	"mtcp_sessions":            "Sessions that are kept.",
	"mtcp_sessions_orphaned":   "Sessions whose root process is gone and has no successor yet.",
	"mtcp_box_bytes":           "Bytes of the sessions' continuation boxes.",
	"mtcp_sessions_left_total": "Sessions that went to another server.",
	"mtcp_sessions_came_total": "Sessions that came from another server.",
	"mtcp_moves_undone_total":  "Moves that were taken back.",
	"mtcp_sought_total":        "Clients that were back, for they heard nothing of the server that their session is with, and were told.",
	"mtcp_over_rate_total":     "Moves that servers and clients asked for more often than they may.",
	"mtcp_over_quota_total":    "Requests of servers' processes, and sessions that were to come, beyond a bound.",
}

func (d *state) orphaned() (n float64) {
	for _, s := range d.keeper.Sessions() {
		if s.PID == 0 {
			n++
		}
	}
	return n
}

func (d *state) boxBytes() (n float64) {
	for _, s := range d.keeper.Sessions() {
		n += float64(s.Bytes)
	}
	return n
}
