// SPDX-License-Identifier: Apache-2.0

package roce

import (
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lazystate/verbs/driver"
	"lazystate/verbs/roce/netio"
)

// sickPort receives nothing while it is sick.
type sickPort struct {
	netio.Port
	sick atomic.Bool
}

func (p *sickPort) Recv(ds []netio.Datagram) (int, error) {
	if p.sick.Load() {
		return 0, unix.ENETDOWN
	}
	return p.Port.Recv(ds)
}

// A port that fails says so, once however long it does, and says when it works again;
// what was asked of it meanwhile is done then.
func TestPortEvents(t *testing.T) {
	hub := &netio.Hub{}
	var ports [2]*sickPort
	var ds [2]*Device
	for i := range ds {
		ports[i] = &sickPort{Port: must[netio.Port](t)(hub.Port(netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 9, 9, byte(i + 1)}), 4791), true))}
		ds[i] = must[*Device](t)(Open(Config{Port: 4791, IO: ports[i]}))
		t.Cleanup(func() { check(t, ds[i].Close()) })
	}
	a, b := sides(t, ds[0], ds[1], 4096)
	becomes := func(typ driver.EventType, state driver.PortState) {
		t.Helper()
		b.dog.Reset(patience)
		if e := must[driver.AsyncEvent](t)(b.d.NextEvent(b.ctx)); e != (driver.AsyncEvent{Type: typ, Port: 1}) {
			t.Fatalf("event %+v, want %v of port 1", e, typ)
		}
		if p := must[driver.PortAttr](t)(b.d.Port(1)); p.State != state {
			t.Errorf("the port is %v, want %v", p.State, state)
		}
	}
	ports[1].sick.Store(true)
	a.op(driver.OpRDMAWrite, 0, 8, b)
	becomes(driver.EventPortErr, driver.PortDown)
	for errs := b.d.Counters().PortErrors; b.d.Counters().PortErrors < errs+3; { // it goes on, which is no news
		if b.ctx.Err() != nil {
			t.Fatal("the port is not tried again")
		}
		time.Sleep(time.Millisecond)
	}
	ports[1].sick.Store(false)
	becomes(driver.EventPortActive, driver.PortActive)
	a.ok()
}
