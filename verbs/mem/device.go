// SPDX-License-Identifier: Apache-2.0

package mem

import (
	"context"
	"fmt"
	"net/netip"
	"sync"

	"lazystate/internal/seqnum"
	"lazystate/verbs/driver"
	"lazystate/verbs/internal/soft"
)

// maxMessage is rxe's, so that a program that runs here runs there.
const maxMessage = 8 << 20

const maxRdAtomic = 16 // on their way at once, per queue pair

// Device is a device of a Network.
type Device struct {
	*soft.Device
	net   *Network
	addr  netip.Addr
	gid   driver.GID
	inbox inbox
	done  sync.WaitGroup
}

// Device adds a device with the next free address.
func (n *Network) Device() *Device {
	n.mu.Lock()
	defer n.mu.Unlock()
	d := &Device{net: n, addr: n.address()}
	d.gid = driver.GIDOf(d.addr)
	d.inbox.wake = make(chan struct{}, 1)
	d.Device = soft.New(driver.DeviceAttr{
		Name: "mem:" + d.addr.String(), Provider: "mem", Ports: 1,
		MaxMRSize: 1 << 40, MaxQP: 1 << 16, MaxQPWR: 1 << 14, MaxSGE: 32, MaxCQ: 1 << 16, MaxCQE: 1 << 20,
		MaxMR: 1 << 20, MaxPD: 1 << 16, MaxMW: 1 << 16, MaxSRQ: 1 << 16, MaxSRQWR: 1 << 14, MaxInline: 512,
		MaxQPRdAtom: maxRdAtomic, MaxQPInitRdAtom: maxRdAtomic, MaxMsgSize: maxMessage, Atomics: driver.AtomicGlob,
		Caps: driver.CapSRQ | driver.CapWindows | driver.CapLocalInv | driver.CapEvents | driver.CapCM,
	}, carrier{d})
	n.devices[d.gid] = d
	d.done.Add(1)
	go d.run()
	return d
}

// run takes what comes from the network, one message after the other.
func (d *Device) run() {
	defer d.done.Done()
	for {
		for _, m := range d.inbox.take() {
			d.receive(m)
		}
		select {
		case <-d.inbox.wake:
		case <-d.Closed():
			return
		}
	}
}

// Close takes the device off the network: its peers run into their retries.
func (d *Device) Close() error {
	d.net.mu.Lock()
	delete(d.net.devices, d.gid)
	d.net.mu.Unlock()
	d.Shut()
	d.done.Wait()
	return nil
}

// Port returns the only port.
func (d *Device) Port(num int) (driver.PortAttr, error) {
	if num != 1 {
		return driver.PortAttr{}, fmt.Errorf("port %d of 1: %w", num, driver.ErrInvalid)
	}
	return driver.PortAttr{
		Num: 1, State: driver.PortActive, MaxMTU: driver.MTU4096, ActiveMTU: driver.MTU4096,
		MaxMsg: maxMessage, GIDs: 1, Ethernet: true,
	}, nil
}

// GIDs returns the only address.
func (d *Device) GIDs(port int) ([]driver.GIDEntry, error) {
	if _, err := d.Port(port); err != nil {
		return nil, err
	}
	return []driver.GIDEntry{{GID: d.gid, Type: driver.GIDRoCEv2}}, nil
}

// CM returns the connection manager.
func (d *Device) CM() (driver.CM, error) { return cm{d}, nil }

var _ driver.Device = (*Device)(nil)
var _ driver.Waiter = (*Device)(nil)

// carrier is what package soft asks of a device.
type carrier struct{ dev *Device }

func (carrier) Registered(*soft.Region) error { return nil }
func (carrier) Ended(*soft.Region)            {}

func (c carrier) Modified(qp *soft.QP, from driver.QPState) error {
	switch {
	case qp.X == nil:
		qp.X = &engine{qp: qp, dev: c.dev}
	case qp.State == driver.QPReset || qp.State == driver.QPError:
		engineOf(qp).halt()
	}
	if qp.State == from {
		return nil
	}
	e := engineOf(qp)
	switch qp.State {
	case driver.QPReset:
		qp.X = nil
	case driver.QPRTR:
		e.expected = seqnum.NewPSN(qp.Attr.RQPSN)
	case driver.QPRTS:
		e.next, e.tries, e.rnrTries = seqnum.NewPSN(qp.Attr.SQPSN), 0, 0
	}
	return nil
}

func (carrier) Posted(qp *soft.QP) { engineOf(qp).transmit() }

func (carrier) Destroyed(qp *soft.QP) {
	if qp.X != nil {
		engineOf(qp).halt()
	}
}

func engineOf(qp *soft.QP) *engine { return qp.X.(*engine) }

var networks struct {
	sync.Mutex
	m map[string]*Network
}

// Provider opens devices of networks that have a name.
type Provider struct{}

// Name is "mem".
func (Provider) Name() string { return "mem" }

// Devices returns none: a device is made by opening it.
func (Provider) Devices() ([]string, error) { return nil, nil }

// Open makes a device of the network "name?seed=1&loss=0.01&dup=0.01&reorder=0.01&delay=1ms".
// Who opens the name first decides what its network does.
func (Provider) Open(_ context.Context, name string) (driver.Device, error) {
	name, f, err := parse(name)
	if err != nil {
		return nil, err
	}
	networks.Lock()
	defer networks.Unlock()
	n := networks.m[name]
	if n == nil {
		n = NewNetwork(f)
		if networks.m == nil {
			networks.m = map[string]*Network{}
		}
		networks.m[name] = n
	}
	return n.Device(), nil
}
