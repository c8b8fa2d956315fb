// SPDX-License-Identifier: Apache-2.0

package target

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"

	"lazystate/backdoor"
	"lazystate/backdoor/rdma"
	"lazystate/backdoor/uapi"
	"lazystate/internal/keyfile"
	"lazystate/internal/sockaddr"
	"lazystate/verbs"
	"lazystate/verbs/driver"
)

// RDMA is the part of a Spec that rdma URLs have.
type RDMA struct {
	Host     string
	Port     uint16
	Provider string // "ibv", "roce"; "": ibv if a device has the address that the route begins at
	Device   string // of ibv: its name; of roce: this side's address; "": as the route says
	Monitor  int    // slot; -1: the caller's
	KeyFile  string // "": the caller's key
	Pool     int    // queue pairs for samples; 0: the carrier's default
	Timeout  uint8  // code of the ack timeout; 0: the carrier's default
}

func parseRDMA(u *url.URL) (Spec, error) {
	s := Spec{Scheme: "rdma", RDMA: &RDMA{Host: u.Hostname(), Port: uapi.RDMAPort, Monitor: -1}}
	r := s.RDMA
	refuse := func(why string, args ...any) (Spec, error) {
		return s, fmt.Errorf("target URL %q: %s", u, fmt.Sprintf(why, args...))
	}
	if r.Host == "" || u.Path != "" && u.Path != "/" || u.User != nil {
		return refuse("want rdma://host:port")
	}
	if p := u.Port(); p != "" {
		n, err := strconv.ParseUint(p, 10, 16)
		if err != nil || n == 0 {
			return refuse("port %s", p)
		}
		r.Port = uint16(n)
	}
	for key, values := range u.Query() {
		if err := r.set(key, values[len(values)-1]); err != nil {
			return refuse("%s=%s: %v", key, values[len(values)-1], err)
		}
	}
	if r.Device != "" && r.Provider == "" {
		return refuse("a device needs its provider")
	}
	if _, err := netip.ParseAddr(r.Device); r.Provider == "roce" && r.Device != "" && err != nil {
		return refuse("device=%s: of roce it is an address of this machine", r.Device)
	}
	return s, nil
}

func (r *RDMA) set(key, v string) (err error) {
	number := func(low, high int) int {
		n, bad := strconv.Atoi(v)
		if bad != nil || n < low || n > high {
			err = fmt.Errorf("want a number from %d to %d", low, high)
		}
		return n
	}
	switch key {
	case "provider":
		r.Provider = v
		if v != "ibv" && v != "roce" {
			err = errors.New("want ibv or roce")
		}
	case "device":
		r.Device = v
	case "monitor":
		r.Monitor = number(0, uapi.Monitors-1)
	case "key":
		r.KeyFile = v
	case "pool":
		r.Pool = number(1, 16)
	case "timeout":
		r.Timeout = uint8(number(1, 31))
	default:
		err = errors.New("unknown parameter")
	}
	return err
}

func (r *RDMA) open(ctx context.Context, o Options) (backdoor.Memory, error) {
	ro := rdma.Options{
		Monitor: o.Slot, Key: o.Key, Writable: o.Writable, Takeover: o.Takeover,
		Pool: r.Pool, AckTimeout: r.Timeout, Log: o.Log,
	}
	if r.Monitor >= 0 {
		ro.Monitor = uint32(r.Monitor)
	}
	if r.KeyFile != "" {
		key, err := keyfile.One(r.KeyFile)
		if err != nil {
			return nil, err
		}
		ro.Key = key
	}
	if ro.Key == (uapi.Key{}) {
		return nil, errors.New("a key is needed to connect, for reading too")
	}
	var err error
	if ro.Remote, err = r.resolve(ctx); err != nil {
		return nil, err
	}
	if ro.Local, err = sockaddr.Source(ro.Remote); err != nil {
		return nil, err
	}
	dev, err := r.device(ctx, devices, ro.Local, o.Log)
	if err != nil {
		return nil, err
	}
	if a, err := netip.ParseAddr(r.Device); err == nil {
		ro.Local = a
	}
	ro.Device, ro.Release = dev.Device, dev.release
	m, err := rdma.Open(ctx, ro)
	if err != nil {
		return nil, err
	}
	return m, nil
}

func (r *RDMA) resolve(ctx context.Context) (netip.AddrPort, error) {
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", r.Host)
	if err != nil {
		return netip.AddrPort{}, err
	}
	return netip.AddrPortFrom(addrs[0].Unmap(), r.Port), nil
}

// device opens what the URL names, or finds it by the address. An RDMA device that
// cannot be opened may be somebody else's: without a provider in the URL it is passed
// over, and the log says why.
func (r *RDMA) device(ctx context.Context, all *deviceSet, local netip.Addr, log *slog.Logger) (*shared, error) {
	switch {
	case r.Provider == "roce" && r.Device != "":
		return all.open(ctx, "roce://"+r.Device)
	case r.Provider == "roce":
		return all.open(ctx, "roce://"+local.String())
	case r.Provider == "ibv" && r.Device != "":
		return all.open(ctx, "ibv://"+r.Device)
	}
	dev, passed, err := all.at(ctx, local)
	switch {
	case err != nil || dev != nil:
		return dev, err
	case r.Provider == "ibv":
		return nil, errors.Join(fmt.Errorf("no RDMA device has the address %s: %w", local, driver.ErrNotSupported), passed)
	}
	dev, err = all.open(ctx, "roce://"+local.String())
	if err != nil {
		return nil, errors.Join(err, passed)
	}
	if passed != nil && log != nil {
		log.Warn("an RDMA device cannot be opened: RoCEv2 of this process instead", "address", local.String(), "err", passed)
	}
	return dev, nil
}

// has reports whether a GID of the device is the address.
func has(dev *verbs.Device, local netip.Addr) bool {
	for num := 1; num <= dev.Attr().Ports; num++ {
		port, err := dev.Port(num)
		if err != nil {
			continue
		}
		gids, _ := port.GIDs()
		for _, g := range gids {
			if g.GID.Addr() == local {
				return true
			}
		}
	}
	return false
}

// deviceSet shares devices among the targets of a process: a roce device is the
// one holder of its address's UDP port.
type deviceSet struct {
	list func() []string
	dial func(context.Context, string) (*verbs.Device, error)

	mu     sync.Mutex
	byName map[string]*shared
}

var devices = &deviceSet{list: verbs.Devices, dial: verbs.Open, byName: map[string]*shared{}}

// at finds the RDMA device that has the address, nil if none has, and says which
// could not be asked.
func (d *deviceSet) at(ctx context.Context, local netip.Addr) (found *shared, passed, err error) {
	for _, name := range d.list() {
		if !strings.HasPrefix(name, "ibv:") {
			continue
		}
		dev, err := d.open(ctx, name)
		if err != nil {
			passed = errors.Join(passed, err)
			continue
		}
		if has(dev.Device, local) {
			return dev, passed, nil
		}
		if err := dev.release(); err != nil {
			return nil, passed, err
		}
	}
	return nil, passed, nil
}

// shared is a device and how many use it.
type shared struct {
	*verbs.Device
	set   *deviceSet
	name  string
	users int
}

func (d *deviceSet) open(ctx context.Context, name string) (*shared, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.byName[name]
	if s == nil {
		dev, err := d.dial(ctx, name)
		if err != nil {
			return nil, err
		}
		s = &shared{Device: dev, set: d, name: name}
		d.byName[name] = s
	}
	s.users++
	return s, nil
}

func (s *shared) release() error {
	s.set.mu.Lock()
	defer s.set.mu.Unlock()
	if s.users--; s.users > 0 {
		return nil
	}
	delete(s.set.byName, s.name)
	return s.Close()
}
