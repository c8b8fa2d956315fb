// SPDX-License-Identifier: Apache-2.0

package steer

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Hook is where programs are attached.
type Hook uint8

// The hooks there are.
const (
	Auto   Hook = iota // TCX, or clsact where there is none
	TCX                // from Linux 6.6 on
	Clsact             // the older hook of the same place
)

func (h Hook) String() string { return [...]string{"auto", "tcx", "clsact"}[h] }

// attachment is one program on one interface. What is pinned stays when it is closed,
// and goes when it is removed.
type attachment interface {
	Close() error
	remove() error
}

// hooks attaches programs in the network namespace of the calling thread and
// takes them away again from any.
type hooks struct {
	hook     Hook
	pin      string
	priority uint16 // with clsact
	nl       *netlink.Handle
	all      []attachment
}

func newHooks(h Hook, pin string) (*hooks, error) {
	nl, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("netlink: %w", err)
	}
	return &hooks{hook: h, pin: pin, priority: clsactPriority, nl: nl}, nil
}

// headerLen is what stands before the IP header on a link.
func headerLen(l netlink.Link) uint32 {
	if len(l.Attrs().HardwareAddr) == 0 && l.Attrs().EncapType != "loopback" {
		return 0
	}
	return ethLen
}

// attach puts two programs on an interface.
func (h *hooks) attach(l netlink.Link, in, out *ebpf.Program) error {
	for _, d := range []struct {
		attach ebpf.AttachType
		parent uint32
		prog   *ebpf.Program
	}{
		{ebpf.AttachTCXIngress, netlink.HANDLE_MIN_INGRESS, in},
		{ebpf.AttachTCXEgress, netlink.HANDLE_MIN_EGRESS, out},
	} {
		a, err := h.one(l, d.attach, d.parent, d.prog)
		if err != nil {
			return fmt.Errorf("attach to %s: %w", l.Attrs().Name, err)
		}
		h.all = append(h.all, a)
	}
	return nil
}

func (h *hooks) one(l netlink.Link, t ebpf.AttachType, parent uint32, p *ebpf.Program) (attachment, error) {
	if h.hook != Clsact {
		a, err := h.tcx(l, t, p)
		switch {
		case err == nil:
			h.hook = TCX
			return a, nil
		case !errors.Is(err, ebpf.ErrNotSupported):
			return nil, err
		case h.hook == TCX:
			return nil, &UnsupportedError{"TCX", "6.6", err}
		}
		h.hook = Clsact
	}
	return attachClsact(h.nl, clsactFilter(l.Attrs().Index, parent, h.priority), p, h.pin != "")
}

// tcx is a link: it goes with its process, unless it is pinned.
type tcx struct{ link.Link }

func (t tcx) remove() error { return errors.Join(t.Unpin(), t.Close()) }

func (h *hooks) tcx(l netlink.Link, t ebpf.AttachType, p *ebpf.Program) (attachment, error) {
	file := filepath.Join(h.pin, fmt.Sprintf("%s-%d", t, l.Attrs().Index))
	if h.pin != "" {
		if old, err := link.LoadPinnedLink(file, nil); err == nil {
			if err := old.Update(p); err != nil {
				return nil, errors.Join(fmt.Errorf("replace the program of %s: %w", file, err), old.Close())
			}
			return tcx{old}, nil
		} else if !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
	}
	a, err := link.AttachTCX(link.TCXOptions{Interface: l.Attrs().Index, Program: p, Attach: t})
	if err != nil {
		return nil, err
	}
	if h.pin != "" {
		if err := a.Pin(file); err != nil {
			return nil, errors.Join(err, a.Close())
		}
	}
	return tcx{a}, nil
}

func (h *hooks) close() error { return h.end(attachment.Close) }

// remove is close of what is pinned, too.
func (h *hooks) remove() error { return h.end(attachment.remove) }

func (h *hooks) end(f func(attachment) error) error {
	var err error
	for _, a := range h.all {
		err = errors.Join(err, f(a))
	}
	h.nl.Close()
	return err
}
