// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"runtime"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

const (
	netnsRoot   = "/run/netns"
	netnsPrefix = "lazystate-"
)

// deleteNetns removes a namespace's name, and one that names none: whoever was
// killed while he made it leaves that, and so does a restart where /run is a disk.
func deleteNetns(net string) error {
	path := NetnsPath(net)
	if err := unix.Unmount(path, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) {
		return fmt.Errorf("unmount %s: %w", path, err)
	}
	return os.Remove(path)
}

// InNetns runs f on a thread inside the network namespace; sockets f opens
// stay there. There is no route from it to anywhere else.
func InNetns(net string, f func() error) error {
	done := make(chan error, 1)
	go func() {
		// Never unlocked: the thread ends with the goroutine and takes the namespace along.
		runtime.LockOSThread()
		h, err := netns.GetFromName(netnsPrefix + net)
		if err == nil {
			err = netns.Set(h)
			h.Close()
		}
		if err != nil {
			done <- fmt.Errorf("network namespace %s: %w", net, err)
			return
		}
		done <- f()
	}()
	return <-done
}

// HostAddr gives this host an address of a namespace, on one of its bridges, so
// that what runs InNetns reaches the machines there. It ends with the namespace.
func HostAddr(net, bridge, prefix string) error {
	return InNetns(net, func() error {
		l, err := netlink.LinkByName(bridge)
		if err != nil {
			return fmt.Errorf("bridge %s: %w", bridge, err)
		}
		addr, err := netlink.ParseAddr(prefix)
		if err != nil {
			return err
		}
		return netlink.AddrAdd(l, addr)
	})
}

// Plug makes a TAP in a namespace and joins it to a bridge there, which is made if
// it has not been. A program on this host is then a machine on that bridge: it
// attaches by the TAP's name, InNetns. It ends with the namespace.
func Plug(net, bridge, tap string) error {
	return InNetns(net, func() error { return PlugHere(bridge, tap) })
}

// PlugHere is Plug in the namespace of the calling thread, which may be none of a lab's.
func PlugHere(bridge, tap string) error {
	if err := makeTap(tap, 1, NIC{Bridge: bridge}); err != nil {
		return fmt.Errorf("TAP %s on %s: %w", tap, bridge, err)
	}
	return nil
}

// Cable joins a bridge of a namespace to one of the same name elsewhere, in the
// namespace that there runs functions in: a rig's, for example. It ends with
// either of them.
func Cable(net, bridge string, there func(func() error) error) error {
	ns, err := netns.GetFromPath(NetnsPath(net))
	if err != nil {
		return fmt.Errorf("network namespace %s: %w", net, err)
	}
	defer ns.Close()
	const end, far = "to-lab", "from-lab"
	err = there(func() error {
		if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: end}, PeerName: far, PeerNamespace: netlink.NsFd(ns)}); err != nil {
			return err
		}
		return enslave(end, bridge)
	})
	if err == nil {
		err = InNetns(net, func() error { return enslave(far, bridge) })
	}
	if err != nil {
		return fmt.Errorf("cable from %s: %w", net, err)
	}
	return nil
}

func enslave(name, bridge string) error {
	l, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	br, err := netlink.LinkByName(bridge)
	if err != nil {
		return err
	}
	return errors.Join(netlink.LinkSetMaster(l, br), netlink.LinkSetUp(l))
}

// NetnsPath is the namespace's file, for programs such as nsenter.
func NetnsPath(net string) string { return netnsRoot + "/" + netnsPrefix + net }

// makeNetns makes the namespace unless another VM of the same net did.
func makeNetns(net string) error {
	if _, err := os.Stat(netnsRoot + "/" + netnsPrefix + net); err == nil {
		return nil
	}
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // as above: NewNamed moves the thread
		h, err := netns.NewNamed(netnsPrefix + net)
		if err == nil {
			h.Close()
			err = up("lo")
		}
		done <- err
	}()
	if err := <-done; err != nil {
		return fmt.Errorf("make network namespace %s: %w", net, err)
	}
	return nil
}

func up(name string) error {
	l, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	return netlink.LinkSetUp(l)
}

// makeTaps makes a TAP for each NIC in the namespace and joins it to its bridge.
func makeTaps(vm string, c Config) error {
	return InNetns(c.Net, func() error {
		for i, n := range c.NICs {
			if err := makeTap(tapName(vm, i), c.VCPUs, n); err != nil {
				return fmt.Errorf("TAP %d of %s: %w", i, vm, err)
			}
		}
		return nil
	})
}

func makeTap(name string, queues int, n NIC) error {
	tap := &netlink.Tuntap{
		LinkAttrs: netlink.LinkAttrs{Name: name},
		Mode:      netlink.TUNTAP_MODE_TAP,
		Flags:     netlink.TUNTAP_NO_PI | netlink.TUNTAP_VNET_HDR,
		Queues:    queues,
	}
	if queues > 1 {
		tap.Flags |= netlink.TUNTAP_MULTI_QUEUE
	}
	if err := netlink.LinkAdd(tap); err != nil {
		return err
	}
	for _, f := range tap.Fds {
		f.Close() // the interface is persistent; QEMU opens its own queues
	}
	if n.MTU != 0 {
		if err := netlink.LinkSetMTU(tap, n.MTU); err != nil {
			return fmt.Errorf("MTU: %w", err)
		}
	}
	if n.Bridge != "none" {
		br, err := makeBridge(n.Bridge)
		if err != nil {
			return err
		}
		if err := netlink.LinkSetMaster(tap, br); err != nil {
			return err
		}
	}
	return netlink.LinkSetUp(tap)
}

func makeBridge(name string) (netlink.Link, error) {
	br := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: name}}
	if err := netlink.LinkAdd(br); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, fmt.Errorf("bridge %s: %w", name, err)
	}
	l, err := netlink.LinkByName(name)
	if err != nil {
		return nil, err
	}
	return l, netlink.LinkSetUp(l)
}

// removeTaps deletes a VM's TAPs while others live on in the namespace.
func removeTaps(vm string, c Config) error {
	return InNetns(c.Net, func() error {
		var errs []error
		for i := range c.NICs {
			l, err := netlink.LinkByName(tapName(vm, i))
			if err == nil {
				err = netlink.LinkDel(l)
			}
			errs = append(errs, err)
		}
		return errors.Join(errs...)
	})
}

func tapName(vm string, i int) string { return fmt.Sprintf("lz%x-%d", nameHash(vm)[:4], i) }

// mac is locally administered and the same at each boot.
func mac(vm string, i int) string {
	h := nameHash(vm)
	return fmt.Sprintf("52:54:%02x:%02x:%02x:%02x", h[0], h[1], h[2], i)
}

func nameHash(vm string) []byte { h := sha256.Sum256([]byte(vm)); return h[:] }
