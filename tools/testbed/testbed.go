// SPDX-License-Identifier: Apache-2.0

package testbed

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"lazystate/internal/netrig"
)

// Port is the service's, at every server.
const Port = 5001

// Link is a client's: so many bits a second in each direction, 0: as many as
// there can be.
type Link struct {
	Bits  uint64
	Agent bool     // mtcpd runs there
	Args  []string // further ones of mtcpd
}

// Config is what a bench needs.
type Config struct {
	Service  string            // name under which its server's processes are known to the keeper
	Beside   map[string]uint16 // further services' names, and their ports at the same addresses
	Clients  []Link
	Servers  int    // 0: two
	Server   uint64 // bits a second that each server can send; 0: no bound
	Gateway  bool   // a router is between clients and servers, with an mtcpd that can move sessions
	Programs string // folder of scd, mtcpd and the servers; "": they are built

	Salvage []any // machines whose sessions S2's daemon can carry out of them, as scd.yaml has them
}

// Bed is the machines, with their daemons.
type Bed struct {
	Sites   []*Site
	S1, S2  *Site // the first two
	Clients []*Client

	service string
	beside  map[string]uint16
	salvage []any
	rig     *netrig.Rig
	router  *router // nil: there is none
	frame   *frame
	bin     string
	dir     string
}

// frame takes the place of a test.
type frame struct{ after []func() }

type failure struct{ error }

func (*frame) Helper()            {}
func (f *frame) Cleanup(g func()) { f.after = append(f.after, g) }

func (f *frame) Fatal(args ...any) {
	if err, ok := args[0].(error); ok {
		panic(failure{err})
	}
	panic(failure{errors.New(fmt.Sprint(args...))})
}

func (f *frame) end() {
	for i := len(f.after) - 1; i >= 0; i-- {
		f.after[i]()
	}
}

// Run makes a bed, has it used, and takes it down.
func Run(ctx context.Context, cfg Config, use func(b *Bed) error) (err error) {
	if err := netrig.Usable(); err != nil {
		return err
	}
	bin := cfg.Programs
	if bin == "" {
		if bin, err = programs(); err != nil {
			return err
		}
	}
	f := &frame{}
	defer f.end()
	defer func() {
		switch r := recover().(type) {
		case nil:
		case failure:
			err = r.error
		default:
			panic(r)
		}
	}()
	b := &Bed{frame: f, bin: bin, service: cfg.Service, beside: cfg.Beside, salvage: cfg.Salvage}
	if b.dir, err = os.MkdirTemp(memory(), "testbed-"); err != nil {
		return err
	}
	f.Cleanup(func() { _ = os.RemoveAll(b.dir) })
	if err := b.open(ctx, cfg); err != nil {
		return err
	}
	return use(b)
}

// memory is a folder that is on no disk: a daemon's journal has to be in one, and
// /run is not everywhere. "" is where other temporary files are.
func memory() string {
	const shm = "/dev/shm"
	var fs unix.Statfs_t
	if err := unix.Statfs(shm, &fs); err == nil && fs.Type == unix.TMPFS_MAGIC && unix.Access(shm, unix.W_OK) == nil {
		return shm
	}
	return ""
}

func (b *Bed) open(ctx context.Context, cfg Config) error {
	var names []string
	for i := range max(cfg.Servers, 2) {
		names = append(names, fmt.Sprintf("s%d", i+1))
	}
	sites := names
	for i := range cfg.Clients {
		names = append(names, fmt.Sprintf("c%d", i))
	}
	if cfg.Gateway {
		names = append(names, routerName)
	}
	b.rig = netrig.New(b.frame, names...)
	if cfg.Gateway {
		if err := b.openRouter(); err != nil {
			return err
		}
	}
	if err := b.openSites(ctx, sites, cfg.Server); err != nil {
		return err
	}
	for i, l := range cfg.Clients {
		if err := b.openClient(ctx, i, l); err != nil {
			return err
		}
	}
	return nil
}

// Wire is where the machines' bridge br0 is, for one that comes from elsewhere.
func (b *Bed) Wire() *netrig.Host { return b.rig.Wire }

// Dir is a folder that ends with the bed, on no disk if there is such a one.
func (b *Bed) Dir() string { return b.dir }

// Launch runs a program on a machine until the bed is taken down.
func (b *Bed) Launch(h *netrig.Host, program string, args ...string) (*Process, error) {
	return b.start(h, program, args...)
}

// Poised runs a program on a machine that waits for a line on its standard input, which
// begin gives it.
func (b *Bed) Poised(h *netrig.Host, program string, args ...string) (p *Process, begin func() error, err error) {
	in, out, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	defer in.Close()
	b.frame.Cleanup(func() { _ = out.Close() })
	p, err = b.startOn(h, in, program, args...)
	return p, func() error { _, err := out.WriteString("\n"); return err }, err
}

// limit bounds what goes to a host and what comes from it.
func (b *Bed) limit(h *netrig.Host, bits uint64) error {
	if bits == 0 {
		return nil
	}
	if err := h.Try(func() error { return shape(netrig.Dev, bits) }); err != nil {
		return err
	}
	return b.rig.Wire.Try(func() error { return shape(h.Name, bits) })
}

const (
	burst  = 16 << 10
	queued = 20 * time.Millisecond // most that the link keeps waiting
)

func shape(dev string, bits uint64) error {
	l, err := netlink.LinkByName(dev)
	if err != nil {
		return err
	}
	bytes := bits / 8
	return netlink.QdiscReplace(&netlink.Tbf{
		QdiscAttrs: netlink.QdiscAttrs{LinkIndex: l.Attrs().Index, Handle: netlink.MakeHandle(1, 0), Parent: netlink.HANDLE_ROOT},
		Rate:       bytes, Limit: burst + uint32(float64(bytes)*queued.Seconds()), Buffer: netlink.Xmittime(bytes, burst),
	})
}

// Await polls until f holds.
func Await(ctx context.Context, what string, f func() bool) error {
	for !f() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s does not come: %w", what, context.Cause(ctx))
		case <-time.After(2 * time.Millisecond):
		}
	}
	return nil
}
