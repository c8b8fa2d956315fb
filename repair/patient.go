// SPDX-License-Identifier: Apache-2.0

package repair

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"lazystate/backdoor"
	"lazystate/backdoor/uapi"
	"lazystate/sensorbox"
)

// Patient is a target and this monitor's means to repair it.
type Patient struct {
	Name   string
	Target *backdoor.Target
	Slot   uint32   // monitor slot
	Key    uapi.Key // of that slot
	Audit  *Audit
	Log    *slog.Logger // nil: silent
	DryRun bool         // plan, log the plan, do nothing

	// Lock says how the target is frozen; Slot and Key are filled in.
	Lock backdoor.LockOptions
}

// defaultLock waits a little for CPUs to leave the kernel, and takes those that
// have their interrupts off by NMI.
func defaultLock() backdoor.LockOptions {
	return backdoor.LockOptions{Lease: 3 * time.Second, Drain: 100 * time.Millisecond, Flags: uapi.LockNMI | uapi.LockDrain}
}

func (p *Patient) lockOptions() backdoor.LockOptions {
	o := p.Lock
	if o.Lease == 0 {
		o = defaultLock()
	}
	o.Slot, o.Key = p.Slot, p.Key
	return o
}

func (p *Patient) log() *slog.Logger {
	if p.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return p.Log
}

// Sensors is fetch_sb: the target's own box and the pages of its user space. What
// is read after a reboot or an unload is no word of this machine.
func (p *Patient) Sensors(ctx context.Context) (*sensorbox.View, error) {
	box, err := p.Target.Region(uapi.KindSensorbox)
	if err != nil {
		return nil, err
	}
	raw := make([]byte, min(box.Len, uapi.SboxPages*4096))
	ops := []backdoor.Op{box.Read(0, raw)}
	var users []byte
	if r, err := p.Target.Region(uapi.KindUserSensors); err == nil {
		users = make([]byte, min(r.Len, uapi.UserRegionPages*4096))
		ops = append(ops, r.Read(0, users))
	}
	v := &sensorbox.View{}
	err = p.Target.Do(ctx, ops...)
	if err == nil {
		err = v.Decode(raw, users)
	}
	if id := backdoor.BootID(v.Header.BootID); err == nil && id != p.Target.BootID() {
		err = &sensorbox.CorruptError{Why: "it carries the boot id " + id.String()}
	}
	if other := p.Target.Check(ctx); Lost(other) { // nor are strange words of another machine damage of this one
		err = other
	}
	if err != nil {
		return nil, fmt.Errorf("fetch sensor box of %s: %w", p.Name, err)
	}
	return v, nil
}

// Lost reports whether err says that the target is no longer the machine that
// was opened: a repair then stops without another word to it.
func Lost(err error) bool {
	return errors.Is(err, backdoor.ErrGone) || errors.Is(err, backdoor.ErrReplaced) || errors.Is(err, backdoor.ErrWithdrawn)
}
