// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lazystate/backdoor/uapi"
	"lazystate/verbs/driver"
)

func TestParsePolicy(t *testing.T) {
	p, err := parsePolicy([]byte(`
0 all all lock own # the healer
2 sensorbox,lock.ack none
agree kill 2 of 0,1,2 within 1500ms
seal
`))
	if err != nil {
		t.Fatal(err)
	}
	want := &policy{
		monitors: []uapi.IOCPolicy{
			{Version: 1, Monitor: 0, Read: ^uint64(0), Write: ^uint64(0), Flags: uapi.PolicyLock | uapi.PolicyOwn},
			{Version: 1, Monitor: 2, Read: 1<<uapi.KindTable | 1<<uapi.KindSensorbox | 1<<uapi.KindLockAck},
		},
		agreements: []uapi.IOCAgreement{{Version: 1, Kind: uapi.KindKillReq, K: 2, Voters: 7, WindowMs: 1500}},
		seal:       true,
	}
	if d := cmp.Diff(want, p, cmp.AllowUnexported(policy{})); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestParsePolicyRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"8 all all":                       "line 1: \"8\": want a slot",
		"\n0 all":                         "line 2: want a slot, what it reads",
		"0 all sensor":                    "no region is called \"sensor\"",
		"0 everything none":               "no region",
		"0 all all jump":                  "want lock, fence or own",
		"agree memory 2 of 0,1 within 1s": "line 1: memory: reads that must match: not supported",
		"agree owner 2 of 0,1 within 1s":  "monitors agree on",
		"agree ram 2 of 0,1 within 1s":    "monitors agree on",
		"agree kill 2 of 0,9 within 1s":   "want a slot",
		"agree kill two of 0,1 within 1s": "no number",
		"agree kill 2 of 0,1 within 2h":   "up to a minute",
		"agree kill 2 0,1":                "want: agree HOOK",
		"seal\n0 all all":                 "line 2: it comes after seal",
	} {
		if _, err := parsePolicy([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// §3.8's reads that all or none get are the guard's alone: here that is told by name.
func TestReadsAreNotAgreedOn(t *testing.T) {
	for word, kind := range kindWords {
		_, err := parsePolicy([]byte("agree " + word + " 2 of 0,1 within 1s"))
		hook := slices.Contains([]uint32{uapi.KindLockReq, uapi.KindFence, uapi.KindKillReq, uapi.KindKnobReq}, kind)
		written := slices.Contains([]uint32{uapi.KindOwnerReq, uapi.KindProposals}, kind)
		if (err == nil) != hook || errors.Is(err, driver.ErrNotSupported) != (!hook && !written) {
			t.Errorf("%s: %v", word, err)
		}
	}
}

// Every region that a monitor may be given has a word, and none has two.
func TestEveryRegionHasAWord(t *testing.T) {
	seen := map[uint32]string{}
	for word, kind := range kindWords {
		if seen[kind] != "" {
			t.Errorf("%s and %s are one", word, seen[kind])
		}
		seen[kind] = word
	}
	for kind := uint32(uapi.KindManifest); kind <= uapi.KindProposalAck; kind++ {
		if seen[kind] == "" && kind != uapi.KindDevice { // a word of the I-NIC's own device
			t.Errorf("no word for %s", uapi.RegionKindName(kind))
		}
	}
}

func TestPolicyOfNoDevice(t *testing.T) {
	f, err := os.OpenFile("/dev/null", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	d := &device{f: f}
	defer d.Close()
	for text, want := range map[string]string{
		"3 all all": "policy of monitor 3", "agree knob 2 of 0,1 within 1s": "agreement on knob", "seal": "seal",
	} {
		p, err := parsePolicy([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if err := p.apply(d); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}
