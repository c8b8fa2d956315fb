// SPDX-License-Identifier: Apache-2.0

package roce

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"lazystate/internal/seqnum"
	"lazystate/verbs/driver"
	"lazystate/verbs/roce/netio"
	"lazystate/verbs/roce/wire"
)

// What a device can do.
const (
	maxQP       = 1 << 16
	maxQPWR     = 1 << 14
	maxSGE      = 32
	maxInline   = 1024
	maxCQE      = 1 << 20
	maxSRQWR    = 1 << 16
	maxMsg      = 1 << 30
	maxRdAtomic = 128
	maxHandled  = 1 << 20 // bytes of a WRITE to a handler
)

// Config says what device to open.
type Config struct {
	Local netip.Addr // one address of this machine; default 127.0.0.1
	Port  uint16     // UDP port; default 4791, RoCEv2's own

	// PeerPort is where packets go; default Port. Another one is for two devices
	// with one address.
	PeerPort uint16

	MTU  driver.MTU    // default: what the interface of Local carries
	Spin time.Duration // how long WaitCQ looks again and again before it sleeps. With fewer free CPUs than spinning threads it makes everything slower

	UDP netio.UDPOptions
	// L2, if it names a TAP or an interface: frames of the device's own instead of
	// the kernel's UDP; Local is then an address that no interface has.
	L2 netio.L2Options
	// IO is used instead of a UDP socket, and closed with the device.
	IO netio.Port

	Faults netio.Faults // of the network, to try how a program bears them
}

// Device is an RDMA device.
type Device struct {
	name     string
	cfg      Config
	opened   time.Time
	port     netio.Port
	peerPort uint16
	mtu      driver.MTU
	exact    bool // what is received can be checked exactly
	guid     uint64

	mu         sync.Mutex // all below
	closed     bool
	lastHandle uint32
	pds        map[driver.PD]struct{}
	keys       map[uint32]*region
	mrs        map[driver.MR]*region
	windows    map[driver.MW]*window
	channels   map[driver.Channel]*channel
	cqs        map[driver.CQ]*completionQueue
	srqs       map[driver.SRQ]*sharedQueue
	qps        map[uint32]*queuePair
	ahs        map[driver.AH]*path
	events     chan driver.AsyncEvent
	count      Counters
	refusals   []Refusal
	cm         *manager

	rx          [recvBatch]netio.Datagram
	in          wire.Packet
	outPacket   wire.Packet
	tx          txQueue
	busy        bool // packets came in batches lately
	timers      timers
	lastExpire  int64
	portRests   int64 // until then, after it failed
	portDown    bool  // it failed the last time
	toAnswer    []*queuePair
	runnable    []*queuePair
	idle        []*queuePair // storage for runnable
	readBytes   int          // that answers under way will have
	readLimit   int          // what the port can hold of them
	readWaiters []*queuePair
	gsiPSN      seqnum.PSN

	leader     *waiter
	leadSince  int64
	lastLead   int64
	active     *waiter // runs turn now
	waiting    []*waiter
	spare      []*waiter
	sleeper    int // eventfd of who polls the port; -1: nobody
	sleepUntil int64
	threadFD   int
	threadAway bool
	threadDeep bool
	threadDone chan struct{}
}

// Open opens a device.
func Open(c Config) (*Device, error) {
	if !c.Local.IsValid() {
		c.Local = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	if c.Port == 0 {
		c.Port = wire.Port
	}
	if c.PeerPort == 0 {
		c.PeerPort = c.Port
	}
	port, err := c.listen()
	if err != nil {
		return nil, fmt.Errorf("open roce device: %w", err)
	}
	if c.Faults != (netio.Faults{}) {
		bad, err := netio.Bad(port, c.Faults)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("open roce device: %w", err), port.Close())
		}
		port = bad
	}
	d, err := newDevice(c, port)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open roce device on %v: %w", c.Local, err), port.Close())
	}
	go d.thread()
	return d, nil
}

// listen opens the port that the configuration asks for.
func (c *Config) listen() (netio.Port, error) {
	local := netip.AddrPortFrom(c.Local, c.Port)
	switch {
	case c.IO != nil:
		return c.IO, nil
	case c.L2.TAP != "" || c.L2.Interface != "":
		return netio.ListenL2(local, c.L2)
	}
	return netio.ListenUDP(local, c.UDP)
}

func newDevice(c Config, port netio.Port) (*Device, error) {
	d := &Device{
		name: port.Local().Addr().String(), cfg: c, opened: time.Now(), port: port, peerPort: c.PeerPort,
		guid:    uint64(random32())<<32 | uint64(random32()),
		pds:     map[driver.PD]struct{}{},
		keys:    map[uint32]*region{},
		mrs:     map[driver.MR]*region{},
		windows: map[driver.MW]*window{}, channels: map[driver.Channel]*channel{},
		cqs: map[driver.CQ]*completionQueue{}, srqs: map[driver.SRQ]*sharedQueue{}, qps: map[uint32]*queuePair{}, ahs: map[driver.AH]*path{},
		events: make(chan driver.AsyncEvent, maxEvents), lastLead: longAgo, sleeper: -1, threadDone: make(chan struct{}),
	}
	caps := port.Caps()
	d.exact = caps.Exact
	d.readLimit = max(chunkBytes, caps.RecvBuffer/2) // a packet in a socket takes up to twice its length
	d.mtu = c.MTU
	if d.mtu == 0 {
		d.mtu = mtuOf(port.Local().Addr())
	}
	for d.mtu > driver.MTU256 && d.mtu.Bytes()+wire.MaxHeader+wire.ICRCLen > caps.MaxPacket {
		d.mtu--
	}
	arena, err := unix.Mmap(-1, 0, arenaBytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return nil, fmt.Errorf("send arena: %w", err)
	}
	d.tx = txQueue{d: d, arena: arena, caps: caps}
	if d.threadFD, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return nil, errors.Join(err, unix.Munmap(arena))
	}
	d.cm = newManager(d)
	return d, nil
}

// kick makes whoever drives the device look at what there is to send.
func (d *Device) kick() {
	if d.sleeper >= 0 {
		setEvent(d.sleeper)
		return
	}
	d.handBack()
}

// Local returns the device's address and UDP port.
func (d *Device) Local() netip.AddrPort { return d.port.Local() }

func (d *Device) Attr() driver.DeviceAttr {
	return driver.DeviceAttr{
		Name: "roce:" + d.name, Provider: "roce", Firmware: "lazystate", NodeGUID: d.guid, Ports: 1,
		MaxMRSize: 1 << 62, MaxQP: maxQP, MaxQPWR: maxQPWR, MaxSGE: maxSGE, MaxCQ: 1 << 16, MaxCQE: maxCQE, MaxMR: 1 << 20, MaxPD: 1 << 16,
		MaxMW: 1 << 20, MaxSRQ: 1 << 16, MaxSRQWR: maxSRQWR, MaxInline: maxInline,
		MaxQPRdAtom: maxRdAtomic, MaxQPInitRdAtom: maxRdAtomic, MaxMsgSize: maxMsg, Atomics: driver.AtomicGlob,
		Caps: driver.CapSRQ | driver.CapWindows | driver.CapLocalInv | driver.CapEvents | driver.CapUD | driver.CapCM | driver.CapHandler,
	}
}

func (d *Device) Port(num int) (driver.PortAttr, error) {
	if num != 1 {
		return driver.PortAttr{}, fmt.Errorf("port %d, there is port 1 only: %w", num, driver.ErrInvalid)
	}
	state := driver.PortActive
	d.mu.Lock()
	if d.portDown {
		state = driver.PortDown
	}
	d.mu.Unlock()
	return driver.PortAttr{
		Num: 1, State: state, MaxMTU: driver.MTU4096, ActiveMTU: d.mtu, MaxMsg: maxMsg, GIDs: 1,
		Ethernet: true, Netdev: netdevOf(d.port.Local().Addr()),
	}, nil
}

func (d *Device) GIDs(port int) ([]driver.GIDEntry, error) {
	a, err := d.Port(port)
	if err != nil {
		return nil, err
	}
	return []driver.GIDEntry{{Index: 0, GID: driver.GIDOf(d.port.Local().Addr()), Type: driver.GIDRoCEv2, Netdev: a.Netdev}}, nil
}

// Close ends the device; whoever waits gets ErrClosed.
func (d *Device) Close() error {
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return driver.ErrClosed
	}
	d.cm.close()
	d.tx.flush()
	d.linger()
	if d.closed {
		d.mu.Unlock()
		return driver.ErrClosed
	}
	d.cm.end()
	d.closed = true
	for _, w := range d.waiting {
		setEvent(w.fd)
	}
	setEvent(d.threadFD)
	d.mu.Unlock()
	<-d.threadDone
	return d.release()
}

// lingering is how long Close waits for the peers' DREPs: one that hears no DREQ
// keeps its end of the connection.
const lingering = 600 * time.Millisecond

// linger waits for them; d.mu is free meanwhile.
func (d *Device) linger() {
	for end := d.now() + int64(lingering); d.cm.disconnecting() && d.now() < end; {
		d.handBack()
		d.mu.Unlock()
		time.Sleep(time.Millisecond)
		d.mu.Lock()
	}
}

// release gives back what the kernel gave.
func (d *Device) release() error {
	d.mu.Lock()
	for len(d.waiting) > 0 { // in WaitCQ still
		d.mu.Unlock()
		time.Sleep(time.Millisecond)
		d.mu.Lock()
	}
	defer d.mu.Unlock()
	errs := []error{d.port.Close(), unix.Close(d.threadFD), unix.Munmap(d.tx.arena)}
	for _, w := range d.spare {
		errs = append(errs, unix.Close(w.fd))
	}
	for _, ch := range d.channels {
		errs = append(errs, unix.Close(ch.fd))
	}
	return errors.Join(errs...)
}
