// SPDX-License-Identifier: Apache-2.0

package rdma

import (
	"errors"
	"log/slog"
	"net/netip"
	"time"

	"lazystate/backdoor/uapi"
	"lazystate/verbs"
	"lazystate/verbs/driver"
)

// Options says which target, and as whom.
type Options struct {
	Device  *verbs.Device
	Release func() error // gives the device back at the end, also when Open fails; nil: Device.Close
	Remote  netip.AddrPort
	Local   netip.Addr // zero: as the route says
	Monitor uint32     // slot
	Key     uapi.Key   // of that slot

	Writable bool // this side writes; without it every write is ErrReadOnly
	Takeover bool // revoke what another process of this monitor holds

	Pool       int           // K: queue pairs for samples; 4 if 0
	AckTimeout uint8         // code: 4.096 us << it; 14 (67 ms) if 0
	Retries    uint8         // 6 if 0; 7 is for ever to rdma_rxe
	Dial       time.Duration // bounds one attempt to connect; 2 s if 0
	Backoff    time.Duration // longest pause between attempts; 1 s if 0
	Log        *slog.Logger  // nil: none
}

const (
	defaultPool       = 4
	mostPool          = 16
	defaultAckTimeout = 14
	defaultRetries    = 6
)

func (o Options) withDefaults() (Options, error) {
	if o.Pool == 0 {
		o.Pool = defaultPool
	}
	if o.AckTimeout == 0 {
		o.AckTimeout = defaultAckTimeout
	}
	if o.Retries == 0 {
		o.Retries = defaultRetries
	}
	if o.Dial == 0 {
		o.Dial = 2 * time.Second
	}
	if o.Backoff == 0 {
		o.Backoff = time.Second
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	switch {
	case o.Device == nil:
		return o, errors.New("no device")
	case o.Pool < 1 || o.Pool > mostPool:
		return o, errors.New("a pool of 1 to 16 queue pairs")
	case o.AckTimeout > 31 || o.Retries > 7:
		return o, errors.New("the ack timeout is a code of 5 bits, retries are at most 7")
	case o.Monitor >= uapi.Monitors:
		return o, errors.New("a target has 8 monitor slots")
	}
	return o, nil
}

func (o *Options) release() error {
	switch {
	case o.Release != nil:
		return o.Release()
	case o.Device != nil:
		return o.Device.Close()
	}
	return nil
}

func (o *Options) stall() time.Duration { return driver.AckTimeout(o.AckTimeout) }
