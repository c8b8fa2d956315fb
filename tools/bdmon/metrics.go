// SPDX-License-Identifier: Apache-2.0

package main

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"lazystate/sensorbox"
)

// metrics are what Prometheus asks for. PIDs and UIDs are never labels, so
// sensors of user space, whose names carry a uid, are left out.
type metrics struct {
	registry *prometheus.Registry
	fetch    *prometheus.HistogramVec
	events   *prometheus.CounterVec
	repairs  *prometheus.CounterVec
	frozen   *prometheus.HistogramVec
	owned    *prometheus.CounterVec
}

func newMetrics(d *daemonState) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		fetch: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "backdoor_sensorbox_fetch_duration_seconds", Help: "Time to read a Sensor Box.",
			Buckets: prometheus.ExponentialBuckets(1e-6, 4, 12),
		}, []string{"target"}),
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "backdoor_events_total", Help: "Events of the detector.",
		}, []string{"target", "kind"}),
		repairs: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "backdoor_repairs_total", Help: "Incidents by their end.",
		}, []string{"healer", "policy", "result"}),
		frozen: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "backdoor_oslock_held_seconds", Help: "Time a target was frozen by a repair.",
			Buckets: prometheus.ExponentialBuckets(1e-3, 2, 14),
		}, []string{"target"}),
		owned: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "backdoor_owner_changes_total", Help: "Targets that this monitor began (own) or ceased (yield) to own.",
		}, []string{"target", "change"}),
	}
	m.registry.MustRegister(m.fetch, m.events, m.repairs, m.frozen, m.owned, &boxes{d}, &places{d})
	return m
}

// handler leaves out what cannot be told, such as a target's second sensor of
// one name: no target may blind Prometheus to the others.
func (m *metrics) handler(log *slog.Logger) http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorHandling: promhttp.ContinueOnError, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	})
}

func (m *metrics) fetched(target string) func(time.Duration) {
	h := m.fetch.WithLabelValues(target)
	return func(took time.Duration) { h.Observe(took.Seconds()) }
}

// boxes reads the last views when Prometheus asks.
type boxes struct{ d *daemonState }

var (
	upDesc      = prometheus.NewDesc("backdoor_target_up", "1 while the last sample was answered.", []string{"target"}, nil)
	sensorDesc  = prometheus.NewDesc("backdoor_sensor_value", "V of a sensor.", []string{"target", "sensor", "class"}, nil)
	samplesDesc = prometheus.NewDesc("backdoor_samples_total", "Samples taken in this session.", []string{"target"}, nil)
	lostDesc    = prometheus.NewDesc("backdoor_samples_lost_total", "Samples without a good answer in this session.", []string{"target"}, nil)
	lateDesc    = prometheus.NewDesc("backdoor_sample_worst_lateness_seconds", "How late this monitor was at worst in this session.", []string{"target"}, nil)
)

func (b *boxes) Describe(c chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{upDesc, sensorDesc, samplesDesc, lostDesc, lateDesc} {
		c <- d
	}
}

func (b *boxes) Collect(c chan<- prometheus.Metric) {
	for _, w := range b.d.sorted() {
		st, name := w.mon.Status(), w.cfg.Name
		up := 0.0
		if st.Up {
			up = 1
		}
		c <- prometheus.MustNewConstMetric(upDesc, prometheus.GaugeValue, up, name)
		c <- prometheus.MustNewConstMetric(samplesDesc, prometheus.CounterValue, float64(st.Samples), name)
		c <- prometheus.MustNewConstMetric(lostDesc, prometheus.CounterValue, float64(st.Lost), name)
		c <- prometheus.MustNewConstMetric(lateDesc, prometheus.GaugeValue, st.WorstLate.Seconds(), name)
		for i := range st.Readings {
			r := &st.Readings[i]
			if r.Flags&sensorbox.User == 0 {
				c <- prometheus.MustNewConstMetric(sensorDesc, prometheus.GaugeValue, float64(r.Value), name, r.Name(), r.Class.String())
			}
		}
	}
}
