// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"lazystate/backdoor/uapi"
	"lazystate/verbs/driver"
)

// policy is what a policy file says (§3.8): a line for each monitor slot, for
// each hook that several must agree on, and whether that is for good.
//
//	# slot  reads            writes     and may
//	0       all              all        lock fence own
//	1       sensorbox,uids   none
//	agree   kill 2 of 0,1,2 within 2s
//	seal
type policy struct {
	monitors   []uapi.IOCPolicy
	agreements []uapi.IOCAgreement
	seal       bool
}

// kindWords are the regions in an operator's words.
var kindWords = map[string]uint32{
	"manifest": uapi.KindManifest, "sensorbox": uapi.KindSensorbox, "user_sensors": uapi.KindUserSensors, "uids": uapi.KindUIDs,
	"memory": uapi.KindMemory, "lock": uapi.KindLockReq, "lock.ack": uapi.KindLockAck, "kill": uapi.KindKillReq, "kill.ack": uapi.KindKillAck,
	"knob": uapi.KindKnobReq, "knob.ack": uapi.KindKnobAck, "fence": uapi.KindFence, "panic": uapi.KindPanic, "foreign": uapi.KindForeign,
	"boxes": uapi.KindBoxes, "owner": uapi.KindOwnerReq, "owner.ack": uapi.KindOwnerAck, "proposal": uapi.KindProposals, "proposal.ack": uapi.KindProposalAck,
}

var mayWords = map[string]uint32{"lock": uapi.PolicyLock, "fence": uapi.PolicyFence, "own": uapi.PolicyOwn}

func readPolicy(path string) (*policy, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	p, err := parsePolicy(b)
	if err != nil {
		return nil, fmt.Errorf("policy %s: %w", path, err)
	}
	return p, nil
}

func parsePolicy(b []byte) (*policy, error) {
	p, n := &policy{}, 0
	for sc := bufio.NewScanner(bytes.NewReader(b)); sc.Scan(); {
		n++
		text, _, _ := strings.Cut(sc.Text(), "#")
		f := strings.Fields(text)
		var err error
		switch {
		case len(f) == 0:
		case p.seal:
			err = fmt.Errorf("it comes after seal")
		case f[0] == "seal" && len(f) == 1:
			p.seal = true
		case f[0] == "agree":
			err = p.agree(f[1:])
		default:
			err = p.monitor(f)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
	}
	return p, nil
}

func (p *policy) monitor(f []string) error {
	slot, err := slotNumber(f[0])
	if err != nil {
		return err
	}
	if len(f) < 3 {
		return fmt.Errorf("want a slot, what it reads and what it writes")
	}
	m := uapi.IOCPolicy{Version: uapi.VersionMajor, Monitor: slot}
	if m.Read, err = kindMask(f[1]); err != nil {
		return err
	}
	if m.Write, err = kindMask(f[2]); err != nil {
		return err
	}
	m.Read |= 1 << uapi.KindTable // without it there is nothing to find the rest by
	for _, w := range f[3:] {
		bit, ok := mayWords[w]
		if !ok {
			return fmt.Errorf("%q: want lock, fence or own", w)
		}
		m.Flags |= bit
	}
	p.monitors = append(p.monitors, m)
	return nil
}

func slotNumber(s string) (uint32, error) {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil || n >= uapi.Monitors {
		return 0, fmt.Errorf("%q: want a slot from 0 to %d", s, uapi.Monitors-1)
	}
	return uint32(n), nil
}

func kindMask(list string) (mask uint64, err error) {
	switch list {
	case "all":
		return ^uint64(0), nil
	case "none":
		return 0, nil
	}
	for _, w := range strings.Split(list, ",") {
		kind, ok := kindWords[w]
		if !ok {
			return 0, fmt.Errorf("no region is called %q", w)
		}
		mask |= 1 << kind
	}
	return mask, nil
}

// agree reads "HOOK K of SLOTS within TIME".
func (p *policy) agree(f []string) error {
	if len(f) != 6 || f[2] != "of" || f[4] != "within" {
		return fmt.Errorf("want: agree HOOK K of SLOT,... within TIME")
	}
	a := uapi.IOCAgreement{Version: uapi.VersionMajor, Kind: kindWords[f[0]]}
	switch a.Kind {
	case uapi.KindLockReq, uapi.KindFence, uapi.KindKillReq, uapi.KindKnobReq:
	case 0, uapi.KindOwnerReq, uapi.KindProposals:
		return fmt.Errorf("%q: monitors agree on lock, fence, kill or knob", f[0])
	default:
		return fmt.Errorf("%s: reads that must match: %w by the module, which a one-sided read does not ask; bdnic has them", f[0], driver.ErrNotSupported)
	}
	k, err := strconv.ParseUint(f[1], 10, 32)
	if err != nil {
		return fmt.Errorf("%q is no number of monitors", f[1])
	}
	for _, w := range strings.Split(f[3], ",") {
		slot, err := slotNumber(w)
		if err != nil {
			return err
		}
		a.Voters |= 1 << slot
	}
	window, err := time.ParseDuration(f[5])
	if err != nil || window <= 0 || window > time.Minute {
		return fmt.Errorf("%q: want a time up to a minute", f[5])
	}
	a.K, a.WindowMs = uint32(k), uint32(window/time.Millisecond)
	p.agreements = append(p.agreements, a)
	return nil
}

// apply gives the policy to the module.
func (p *policy) apply(d *device) error {
	for _, m := range p.monitors {
		if err := d.ioctl(fmt.Sprintf("set policy of monitor %d", m.Monitor), uapi.IoctlSetPolicy, m.Encode()); err != nil {
			return err
		}
	}
	for _, a := range p.agreements {
		if err := d.ioctl("set agreement on "+uapi.RegionKindName(a.Kind), uapi.IoctlSetAgreement, a.Encode()); err != nil {
			return err
		}
	}
	if !p.seal {
		return nil
	}
	s := uapi.IOCSeal{Version: uapi.VersionMajor}
	return d.ioctl("seal the policy", uapi.IoctlSeal, s.Encode())
}
