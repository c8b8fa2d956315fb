// SPDX-License-Identifier: Apache-2.0

package link

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"lazystate/tools/lab"
)

// Options say which bridges of a namespace the link joins.
type Options struct {
	Net  string                     // as lab.Config.Net
	In   func(f func() error) error // runs f in another namespace; nil: it is Net
	Near string                     // the bridge of the monitors, where the host has its addresses
	Far  string                     // the machines'
	Seed uint64
}

// Stats of both directions.
type Stats struct{ Frames, Lost, Copies uint64 }

// Link relays until Close.
type Link struct {
	ends   [2]*os.File
	relays sync.WaitGroup
	start  time.Time
	faults atomic.Pointer[Faults]

	frames, lost, copies atomic.Uint64
}

// Names of the two TAPs; a namespace has one link.
const nearTAP, farTAP = "link-near", "link-far"

const longestFrame = 64<<10 + 64

// Open makes the link, without faults.
func Open(o Options) (*Link, error) {
	l := &Link{start: time.Now()}
	l.faults.Store(&Faults{})
	in := o.In
	if in == nil {
		in = func(f func() error) error { return lab.InNetns(o.Net, f) }
	}
	for i, end := range []struct{ bridge, tap string }{{o.Near, nearTAP}, {o.Far, farTAP}} {
		if err := in(func() (err error) { l.ends[i], err = tapOn(end.bridge, end.tap); return err }); err != nil {
			return nil, errors.Join(fmt.Errorf("link to %s: %w", end.bridge, err), l.close())
		}
	}
	if err := in(func() error { return deaf(o.Far) }); err != nil {
		return nil, errors.Join(err, l.close())
	}
	for i := range l.ends {
		l.relays.Go(func() { l.relay(l.ends[i], l.ends[1-i], newFate(o.Seed, uint64(i))) })
	}
	return l, nil
}

// tapOn puts a TAP on a bridge, and opens it.
func tapOn(bridge, tap string) (*os.File, error) {
	if err := lab.PlugHere(bridge, tap); err != nil {
		return nil, err
	}
	return attach(tap)
}

// deaf lets a bridge forward only: the host answers nothing that comes by it.
func deaf(bridge string) error {
	br, err := netlink.LinkByName(bridge)
	if err == nil {
		err = netlink.LinkSetARPOff(br)
	}
	if err != nil {
		return fmt.Errorf("bridge %s: %w", bridge, err)
	}
	return nil
}

// attach opens a TAP that is there. The kernel cuts trains and fills in checksums
// for it, since no header says that the other end could.
func attach(name string) (*os.File, error) {
	req, err := unix.NewIfreq(name)
	if err != nil {
		return nil, err
	}
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	req.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, req); err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	return os.NewFile(uintptr(fd), name), nil
}

// Set changes the faults of frames from now on.
func (l *Link) Set(f Faults) error {
	if err := f.check(); err != nil {
		return err
	}
	l.faults.Store(&f)
	return nil
}

// Stats counts since Open.
func (l *Link) Stats() Stats {
	return Stats{Frames: l.frames.Load(), Lost: l.lost.Load(), Copies: l.copies.Load()}
}

// Close ends the relay; frames that are under way are lost.
func (l *Link) Close() error {
	err := l.close()
	l.relays.Wait()
	return err
}

func (l *Link) close() error {
	var errs []error
	for _, f := range l.ends {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	return errors.Join(errs...)
}

// relay takes frames of one end to the other until an end is closed.
func (l *Link) relay(from, to *os.File, fate *fate) {
	buf := make([]byte, longestFrame)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		l.frames.Add(1)
		copies := fate.draw(*l.faults.Load(), n, time.Since(l.start))
		if len(copies) == 0 {
			l.lost.Add(1)
		}
		for i, wait := range copies {
			if i > 0 {
				l.copies.Add(1)
			}
			l.send(to, buf[:n], wait)
		}
	}
}

// send writes a frame now or later. One that the other end does not take is
// lost, as on any wire.
func (l *Link) send(to *os.File, frame []byte, wait time.Duration) {
	if wait == 0 {
		_, _ = to.Write(frame)
		return
	}
	kept := append([]byte(nil), frame...)
	time.AfterFunc(wait, func() { _, _ = to.Write(kept) })
}
