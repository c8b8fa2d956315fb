// SPDX-License-Identifier: Apache-2.0

// Package guard is the Backdoor guard of §3.8: it stands between the monitors
// and the memory of one target, and decides of every operation whether it
// passes, waits for others to ask for the same, or is refused. It runs where
// the access is made, in the I-NIC (tools/bdnic), so a target that is hung or
// hostile has no say in it.
//
// It is pure: operations and the time come as arguments, verdicts and writes to
// be carried out go back. Its policy is a copy taken by New, and nothing
// changes it afterwards.
//
// The trap: a write under agreement is acknowledged when it is kept, not when
// it takes effect. Who wrote it learns of the effect as over any carrier: the
// target answers in the acknowledgement regions, or it does not.
//
//	g, err := guard.New(policy)
//	if err != nil {
//		return err
//	}
//	switch v := g.Access(now, &guard.Request{Monitor: 1, Op: guard.Write, Kind: uapi.KindKillReq, Off: off, Data: data}); v.Act {
//	case guard.Refuse:
//		return errors.New(v.Why)
//	case guard.Pass, guard.Keep:
//		write(v.Apply)
//	}
package guard
