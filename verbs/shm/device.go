// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"lazystate/internal/unixsock"
	"lazystate/verbs/driver"
	"lazystate/verbs/internal/soft"
)

// Device is this process's end.
type Device struct {
	*soft.Device
	gid      driver.GID
	listener *net.UnixListener
	table    *table
	hints    []byte
	hintsFD  int
	bell     int      // rung by peers
	bellFile *os.File // a duplicate of it, in Go's poller
	done     sync.WaitGroup

	mu       sync.Mutex // all below
	closed   bool
	links    map[driver.GID]*link
	peers    map[*served]bool // true: greeted
	byHint   map[uint32][]*engine
	byCQ     map[driver.CQ][]*engine
	starving map[*engine]struct{}
	calls    map[io.Closer]struct{} // listeners and connections of the connection manager
}

// Provider opens devices.
type Provider struct{}

// Name is "shm".
func (Provider) Name() string { return "shm" }

// Devices returns none: a device is made by opening it.
func (Provider) Devices() ([]string, error) { return nil, nil }

// Open makes a device with a random GID; name is what its Attr shows.
func (Provider) Open(_ context.Context, name string) (driver.Device, error) {
	d, err := Open(name)
	if err != nil {
		return nil, err
	}
	return d, nil
}

// Open makes a device with a random GID; name is what its Attr shows.
func Open(name string) (*Device, error) {
	d := &Device{
		hintsFD: -1, bell: -1, links: map[driver.GID]*link{}, peers: map[*served]bool{},
		byHint: map[uint32][]*engine{}, byCQ: map[driver.CQ][]*engine{}, starving: map[*engine]struct{}{},
		calls: map[io.Closer]struct{}{},
	}
	rand.Read(d.gid[:])
	d.gid[0] = 0xfd // no address of any network
	d.Device = soft.New(driver.DeviceAttr{
		Name: "shm:" + name, Provider: "shm", Ports: 1,
		MaxMRSize: 1 << 40, MaxQP: 1 << 16, MaxQPWR: 1 << 14, MaxSGE: 32, MaxCQ: 1 << 16, MaxCQE: 1 << 20,
		MaxMR: slots, MaxPD: 1 << 16, MaxSRQ: 1 << 16, MaxSRQWR: 1 << 14, MaxInline: 1024,
		MaxQPRdAtom: 16, MaxQPInitRdAtom: 16, MaxMsgSize: maxMessage, Atomics: driver.AtomicGlob,
		Caps: driver.CapSRQ | driver.CapEvents | driver.CapCM,
	}, carrier{d})
	if err := d.open(); err != nil {
		d.release()
		return nil, fmt.Errorf("open shm device %q: %w", name, err)
	}
	d.done.Add(2)
	go d.accept()
	go d.serve()
	return d, nil
}

func (d *Device) open() (err error) {
	if d.table, err = newTable(); err != nil {
		return err
	}
	if d.hintsFD, d.hints, err = soft.Shared(hintSize); err != nil {
		return err
	}
	if d.bell, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return fmt.Errorf("eventfd: %w", err)
	}
	dup, err := unix.FcntlInt(uintptr(d.bell), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return err
	}
	d.bellFile = os.NewFile(uintptr(dup), "doorbell")
	d.listener, err = listenUnix(deviceName(d.gid))
	return err
}

// Close ends all links: peers find nobody.
func (d *Device) Close() error {
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return nil
	}
	d.closed = true
	for s := range d.peers {
		s.sock.Close()
	}
	calls := slices.Collect(maps.Keys(d.calls))
	d.mu.Unlock()
	for _, c := range calls {
		c.Close()
	}
	d.Shut()
	d.listener.Close()
	d.bellFile.Close()
	d.done.Wait()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.release()
	return nil
}

// release frees what open made.
func (d *Device) release() {
	if d.table != nil {
		d.table.close()
	}
	if d.hints != nil {
		unix.Munmap(d.hints)
	}
	unixsock.Close([]int{d.hintsFD, d.bell})
}

// Port returns the only port.
func (d *Device) Port(num int) (driver.PortAttr, error) {
	if num != 1 {
		return driver.PortAttr{}, fmt.Errorf("port %d of 1: %w", num, driver.ErrInvalid)
	}
	return driver.PortAttr{
		Num: 1, State: driver.PortActive, MaxMTU: driver.MTU4096, ActiveMTU: driver.MTU4096, MaxMsg: maxMessage, GIDs: 1, Ethernet: true,
	}, nil
}

// GIDs returns the device's name.
func (d *Device) GIDs(port int) ([]driver.GIDEntry, error) {
	if _, err := d.Port(port); err != nil {
		return nil, err
	}
	return []driver.GIDEntry{{GID: d.gid, Type: driver.GIDRoCEv2}}, nil
}

// PollCQ looks at the rings too: a process that polls needs no doorbell.
func (d *Device) PollCQ(h driver.CQ, wc []driver.WC) (int, error) {
	n, err := d.Device.PollCQ(h, wc)
	if n > 0 || err != nil {
		return n, err
	}
	d.mu.Lock()
	engines := d.byCQ[h]
	d.mu.Unlock()
	for _, e := range engines {
		if e.qp.TryLock() {
			e.act()
			e.qp.Unlock()
		}
	}
	return d.Device.PollCQ(h, wc)
}

// PostRecv lets a message in that waits.
func (d *Device) PostRecv(h driver.QP, wrs []driver.RecvWR) (int, error) {
	n, err := d.Device.PostRecv(h, wrs)
	if qp, e := d.ByHandle(h); e == nil {
		qp.Lock()
		defer qp.Unlock()
		if e := engineOf(qp); e != nil && e.starving {
			e.act()
		}
	}
	return n, err
}

// PostSRQRecv lets messages in that wait.
func (d *Device) PostSRQRecv(h driver.SRQ, wrs []driver.RecvWR) (int, error) {
	n, err := d.Device.PostSRQRecv(h, wrs)
	d.mu.Lock()
	var hungry []*engine
	for e := range d.starving {
		hungry = append(hungry, e)
	}
	clear(d.starving)
	d.mu.Unlock()
	for _, e := range hungry {
		e.qp.Lock()
		if e.starving {
			e.starving = false // it says so again if it still is
			e.act()
		}
		e.qp.Unlock()
	}
	return n, err
}

func (d *Device) starves(e *engine) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.starving[e] = struct{}{}
}

// addEngine, dropEngine: d is locked. The lists are read without it.
func (d *Device) addEngine(e *engine) {
	bit := e.qp.Num % hintBits
	d.byHint[bit] = append(slices.Clip(d.byHint[bit]), e)
	for _, cq := range e.qp.CQs() {
		d.byCQ[cq] = append(slices.Clip(d.byCQ[cq]), e)
	}
}

func (d *Device) dropEngine(e *engine) {
	without := func(list []*engine) []*engine {
		var rest []*engine
		for _, o := range list {
			if o != e {
				rest = append(rest, o)
			}
		}
		return rest
	}
	bit := e.qp.Num % hintBits
	d.byHint[bit] = without(d.byHint[bit])
	for _, cq := range e.qp.CQs() {
		if d.byCQ[cq] = without(d.byCQ[cq]); d.byCQ[cq] == nil {
			delete(d.byCQ, cq)
		}
	}
	delete(d.starving, e)
}

func (d *Device) allEngines() []*engine {
	var all []*engine
	for _, list := range d.byHint {
		all = append(all, list...)
	}
	return all
}

// carrier is what package soft asks of a device.
type carrier struct{ dev *Device }

func (c carrier) Registered(r *soft.Region) error { return c.dev.registered(r) }
func (c carrier) Ended(r *soft.Region)            { c.dev.ended(r) }

func (c carrier) Modified(qp *soft.QP, from driver.QPState) error {
	e := engineOf(qp)
	switch {
	case qp.State == driver.QPReset:
		if e != nil {
			e.destroy()
			qp.X = nil
		}
	case e == nil:
		e, err := c.dev.newEngine(qp)
		if err != nil {
			return err
		}
		qp.X = e
	case qp.State == from:
		u32(e.seg, segAccess).Store(uint32(qp.Attr.Access))
	case qp.State == driver.QPRTR:
		e.connect()
	case qp.State == driver.QPError:
		e.gone()
	}
	return nil
}

func (carrier) Posted(qp *soft.QP) { engineOf(qp).run() }

func (carrier) Destroyed(qp *soft.QP) {
	if e := engineOf(qp); e != nil {
		e.destroy()
		qp.X = nil
	}
}
