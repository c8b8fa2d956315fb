// SPDX-License-Identifier: Apache-2.0

package steer

import (
	"errors"
	"fmt"
	"os"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Our filters are found by these again, and by their names. A gate's stand behind
// those of the others: clsact has one of each priority.
const (
	clsactPriority = 0x4d54
	gatePriority   = clsactPriority + 1
	clsactHandle   = 1
	clsactName     = "lazystate_steer"
)

// clsact is a filter of the hook before TCX. Unlike a link it does not go with
// its process.
type clsact struct {
	nl     *netlink.Handle
	filter *netlink.BpfFilter
	stay   bool
}

func clsactFilter(index int, parent uint32, priority uint16) *netlink.BpfFilter {
	return &netlink.BpfFilter{
		FilterAttrs: netlink.FilterAttrs{
			LinkIndex: index, Parent: parent, Handle: clsactHandle, Protocol: unix.ETH_P_ALL, Priority: priority,
		},
		Name: clsactName, DirectAction: true,
	}
}

func clsactQdisc(index int) *netlink.GenericQdisc {
	return &netlink.GenericQdisc{
		QdiscAttrs: netlink.QdiscAttrs{LinkIndex: index, Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_CLSACT},
		QdiscType:  "clsact",
	}
}

// attachClsact puts a program on an interface, in the place of one that an
// earlier process left.
func attachClsact(nl *netlink.Handle, f *netlink.BpfFilter, p *ebpf.Program, stay bool) (attachment, error) {
	if err := nl.QdiscAdd(clsactQdisc(f.LinkIndex)); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, fmt.Errorf("add clsact: %w", err)
	}
	f.Fd = p.FD()
	if err := nl.FilterReplace(f); err != nil {
		return nil, fmt.Errorf("add a filter to clsact: %w", err)
	}
	return &clsact{nl, f, stay}, nil
}

func (c *clsact) Close() error {
	if c.stay {
		return nil
	}
	return c.remove()
}

func (c *clsact) remove() error { return removeClsact(c.nl, c.filter) }

// removeClsact takes our filter away, and clsact itself where nobody else uses
// it.
func removeClsact(nl *netlink.Handle, f *netlink.BpfFilter) error {
	index := f.LinkIndex
	if err := nl.FilterDel(f); err != nil && !gone(err) {
		return fmt.Errorf("remove a filter from clsact: %w", err)
	}
	l, err := nl.LinkByIndex(index)
	if err != nil {
		return nil // the interface went, and all of this with it
	}
	for _, parent := range []uint32{netlink.HANDLE_MIN_INGRESS, netlink.HANDLE_MIN_EGRESS} {
		if fs, err := nl.FilterList(l, parent); err != nil || len(fs) > 0 {
			return nil
		}
	}
	if err := nl.QdiscDel(clsactQdisc(index)); err != nil && !gone(err) {
		return fmt.Errorf("remove clsact: %w", err)
	}
	return nil
}

// gone are the errors for what is no longer there: without clsact its parents
// are unknown.
func gone(err error) bool {
	return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENODEV) || errors.Is(err, unix.EINVAL)
}

// detachAll removes filters that a process left behind.
func detachAll(interfaces []string) error {
	nl, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("netlink: %w", err)
	}
	defer nl.Close()
	var all []error
	for _, name := range interfaces {
		l, err := nl.LinkByName(name)
		if err != nil {
			all = append(all, fmt.Errorf("clean %s: %w", name, err))
			continue
		}
		for _, parent := range []uint32{netlink.HANDLE_MIN_INGRESS, netlink.HANDLE_MIN_EGRESS} {
			for _, priority := range []uint16{clsactPriority, gatePriority} {
				all = append(all, removeClsact(nl, clsactFilter(l.Attrs().Index, parent, priority)))
			}
		}
	}
	return errors.Join(all...)
}
