// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"lazystate/backdoor/nic"
)

// collector reads the server's counters when Prometheus asks.
type collector struct{ s *nic.Server }

var (
	upDesc        = prometheus.NewDesc("backdoor_nic_target_up", "1 while the target offers regions.", nil, nil)
	grantsDesc    = prometheus.NewDesc("backdoor_nic_grants", "Monitors' connections, each with keys of its own.", nil, nil)
	qpsDesc       = prometheus.NewDesc("backdoor_nic_queue_pairs", "Queue pairs of all grants.", nil, nil)
	opsDesc       = prometheus.NewDesc("backdoor_nic_operations_total", "Remote operations by what became of them.", []string{"result"}, nil)
	bytesDesc     = prometheus.NewDesc("backdoor_nic_bytes_total", "Bytes read and written by monitors.", nil, nil)
	deniedDesc    = prometheus.NewDesc("backdoor_nic_connections_denied_total", "Connection requests that were denied.", nil, nil)
	agreementDesc = prometheus.NewDesc("backdoor_nic_agreements_total", "What became of operations that several monitors must ask for.", []string{"result"}, nil)
	ownersDesc    = prometheus.NewDesc("backdoor_nic_owners_total", "Changes of the target's owner.", nil, nil)
)

func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{upDesc, grantsDesc, qpsDesc, opsDesc, bytesDesc, deniedDesc, agreementDesc, ownersDesc} {
		ch <- d
	}
}

func (c *collector) Collect(ch chan<- prometheus.Metric) {
	st := c.s.Stats()
	up := 0.0
	if st.Up {
		up = 1
	}
	ch <- prometheus.MustNewConstMetric(upDesc, prometheus.GaugeValue, up)
	ch <- prometheus.MustNewConstMetric(grantsDesc, prometheus.GaugeValue, float64(st.Grants))
	ch <- prometheus.MustNewConstMetric(qpsDesc, prometheus.GaugeValue, float64(st.QPs))
	count := func(d *prometheus.Desc, v uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	count(opsDesc, st.Reads, "read")
	count(opsDesc, st.Writes, "written")
	count(opsDesc, st.Refused, "refused")
	count(opsDesc, st.Withheld, "withheld")
	count(opsDesc, st.Failed, "failed")
	count(bytesDesc, st.Bytes)
	count(deniedDesc, st.Denied)
	count(agreementDesc, st.Agreed, "agreed")
	count(agreementDesc, st.Disagreed, "disagreed")
	count(agreementDesc, st.Expired, "expired")
	count(ownersDesc, st.Owners)
}

func metricsHandler(target string, s *nic.Server) http.Handler {
	registry := prometheus.NewRegistry()
	prometheus.WrapRegistererWith(prometheus.Labels{"target": target}, registry).MustRegister(&collector{s})
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
}
