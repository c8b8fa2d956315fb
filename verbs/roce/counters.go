// SPDX-License-Identifier: Apache-2.0

package roce

import (
	"lazystate/verbs/roce/netio"
	"lazystate/verbs/roce/wire"
)

// Counters are counts since the device was opened. Map gives them the names
// that rxe and hardware use under hw_counters.
type Counters struct {
	SentPackets, RecvPackets uint64 // of reliable connections, without repetitions

	Retransmits        uint64 // packets sent again
	Timeouts           uint64 // of requesters
	Probes             uint64 // oldest packets sent again before that
	RetryExceeded      uint64
	SequenceNaks       uint64 // received
	ImpliedNaks        uint64 // an acknowledgement came, the answer before it had not
	RNRNaksReceived    uint64
	DuplicateResponses uint64

	OutOfSequence     uint64 // requests ahead of the expected one
	DuplicateRequests uint64
	RNRNaksSent       uint64
	MemoryFaults      uint64 // a mapping lost pages under a registration

	Malformed  [wire.NumMalformed]uint64
	ICRCErrors uint64
	NoQP       uint64 // for a queue pair that is not there, or of another type
	BadSource  uint64 // from an address that is not the connection's peer
	BadPKey    uint64
	BadQKey    uint64
	UDDropped  uint64 // no receive was posted for a datagram

	SendDrops  uint64 // the port was full
	PortErrors uint64
	CQOverruns uint64
	EventsLost uint64

	CMSent, CMReceived, CMDuplicates, CMMalformed uint64

	CMDropped uint64 // requests beyond as many connections as there can be

	Port netio.Stats
}

// Counters returns what the device has counted.
func (d *Device) Counters() Counters {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := d.count
	c.Port = d.port.Stats()
	return c
}

// Map returns the counters by rxe's names of them (drivers/infiniband/sw/rxe,
// rxe_hw_counters.c), and those that it does not have by names of the same kind.
func (c *Counters) Map() map[string]uint64 {
	malformed := uint64(0)
	for _, n := range c.Malformed {
		malformed += n
	}
	return map[string]uint64{
		"sent_pkts": c.SentPackets, "rcvd_pkts": c.RecvPackets,
		"duplicate_request": c.DuplicateRequests, "out_of_seq_request": c.OutOfSequence,
		"rcvd_rnr_err": c.RNRNaksReceived, "send_rnr_err": c.RNRNaksSent, "rcvd_seq_err": c.SequenceNaks,
		"completer_retry_err": c.Timeouts, "retry_exceeded_err": c.RetryExceeded, "ack_deferred": c.DuplicateResponses,
		"implied_nak_seq_err": c.ImpliedNaks, "retransmitted_pkts": c.Retransmits, "probes": c.Probes,
		"malformed_pkts": malformed, "icrc_encapsulated_err": c.ICRCErrors, "no_qp_pkts": c.NoQP,
		"bad_source_pkts": c.BadSource, "bad_pkey_pkts": c.BadPKey, "bad_qkey_pkts": c.BadQKey, "ud_dropped_pkts": c.UDDropped,
		"send_err": c.SendDrops + c.Port.SendErrors, "memory_faults": c.MemoryFaults, "cq_overruns": c.CQOverruns,
		"rdma_sends": c.Port.SentPackets, "rdma_recvs": c.Port.RecvPackets,
		"cm_sent": c.CMSent, "cm_rcvd": c.CMReceived, "cm_duplicates": c.CMDuplicates, "cm_malformed": c.CMMalformed, "cm_dropped": c.CMDropped,
	}
}
