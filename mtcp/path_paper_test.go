// SPDX-License-Identifier: Apache-2.0

package mtcp

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// §3.6.5: "The state of the server endpoint of the TCP connection can be
// classified in three types of components".
func TestPaperClasses(t *testing.T) {
	got := map[Class][]string{}
	for _, c := range Components() {
		got[c.Class()] = append(got[c.Class()], c.String())
	}
	want := map[Class][]string{
		// "which must be transferred and re-instated at the new node"; the
		// windows, timestamps and user's options follow in steps 4 and 5.
		Hard: {"state of the finite-state machine", "addresses", "ports", "sequence numbers", "acknowledgement numbers",
			"data received and acknowledged since the snapshot", "data sent or written and not acknowledged",
			"options of the handshake", "windows of both directions", "timestamps", "options that the user has set"},
		// "state components sensitive to local node failures"
		Sensitive: {"congestion window", "slow-start threshold", "smoothed round-trip time", "its variance", "retransmission time-out"},
		// "which can be discarded and reconstructed by the server TCP"
		Soft: {"running timers", "the round trip being measured", "back-off of retransmissions"},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("want (-), got (+)\n%s", d)
	}
}

// §3.6.5, step 6: "the congestion window wnd and the slow-start threshold
// ssthresh, are preserved unless the TCP of the failed node was performing
// retransmissions". Whatever has made them small: "To be conservative, we
// preserve old values".
func TestPaperWindowsArePreserved(t *testing.T) {
	for _, p := range []Path{
		{Cwnd: 40, Ssthresh: Infinite},
		{Cwnd: 3, Ssthresh: 2, PriorCwnd: 40, PriorSsthresh: 30}, // a loss that is over
	} {
		if s := p.Start(); s.Cwnd != p.Cwnd || s.Ssthresh != p.Ssthresh || s.Undone {
			t.Errorf("%+v: %+v", p, s)
		}
	}
}

// "if the TCP of the failed node was doing retransmissions at the time of
// failure, we ... discard the current wnd/ssthresh values and restore their
// values from their previous values, saved by TCP at the time of the most
// recent first retransmission".
func TestPaperWindowsOfBeforeTheLoss(t *testing.T) {
	before := Path{Cwnd: 1, Ssthresh: 20, PriorCwnd: 40, PriorSsthresh: 30}
	for what, doing := range map[string]func(*Path){
		"by timer":      func(p *Path) { p.Retransmits = 2 },
		"by duplicates": func(p *Path) { p.Repairing = true },
		"one is out":    func(p *Path) { p.Outstanding = 1 },
	} {
		p := before
		doing(&p)
		if s := p.Start(); s.Cwnd != 40 || s.Ssthresh != 30 || !s.Undone {
			t.Errorf("%s: %+v", what, s)
		}
	}
	// What was never saved does not replace anything.
	if s := (Path{Cwnd: 10, Ssthresh: 20, Retransmits: 1}).Start(); s.Cwnd != 10 || s.Ssthresh != 20 || s.Undone {
		t.Errorf("nothing saved: %+v", s)
	}
}

// "The RTT estimator estimated values (smoothed RTT, smoothed RTT variance, and
// current retransmission timer) are preserved, while the estimator state
// variables used in computing it (the current RTT, the retransmission backoff,
// etc.) are discarded".
func TestPaperEstimatesArePreserved(t *testing.T) {
	ms := time.Millisecond
	p := Path{SRTT: 20 * ms, RTTVar: 200 * ms, Backoff: 5, Retransmits: 5}
	if s := p.Start(); s.SRTT != 20*ms || s.RTTVar != 200*ms || s.RTO != 220*ms {
		t.Errorf("%+v", s)
	}
	if s := (Path{RTTVar: 200 * ms}).Start(); s.RTO != 0 {
		t.Errorf("no round trip was ever measured: %+v", s)
	}
}

// A new endpoint never begins with less than what the dead one had left.
func TestStartLosesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Uint32Range(0, Infinite)
		p := Path{Cwnd: n.Draw(t, "cwnd"), Ssthresh: n.Draw(t, "ssthresh"), PriorCwnd: n.Draw(t, "prior cwnd"), PriorSsthresh: n.Draw(t, "prior ssthresh"),
			Repairing: rapid.Bool().Draw(t, "repairing"), Retransmits: rapid.Uint32Range(0, 2).Draw(t, "retransmits")}
		s := p.Start()
		if s.Cwnd < p.Cwnd || s.Ssthresh < p.Ssthresh || s.Undone && !p.Retransmitting() {
			t.Fatalf("%+v: %+v", p, s)
		}
	})
}
