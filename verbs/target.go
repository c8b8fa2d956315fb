// SPDX-License-Identifier: Apache-2.0

package verbs

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"lazystate/internal/sockaddr"
	"lazystate/verbs/rdmalink"
)

// target is what the URL of a Dial or a Listen says.
type target struct {
	device string         // URL to open
	local  netip.Addr     // of Dial: where from
	addr   netip.AddrPort // the peer's, or to listen at
	net    bool           // a real network, which shared memory can stand in for
}

// parseTarget reads "rdma://host:port", "roce://host:port?mtu=1024",
// "ibv://host:port?device=rxe0", "shm://host:port", "mem://network/host:port".
// rdma is ibv if an RDMA device has the address that is used here, else roce;
// provider=ibv or provider=roce decides. local=addr is where a dial starts from.
func parseTarget(ctx context.Context, raw string, dial bool) (*target, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return nil, err
	}
	q := u.Query()
	take := func(key string) string {
		v := q.Get(key)
		q.Del(key)
		return v
	}
	host := u.Host
	if u.Scheme == "mem" {
		host = strings.TrimPrefix(u.Path, "/")
	}
	t := &target{net: slices.Contains([]string{"rdma", "ibv", "roce"}, u.Scheme)}
	if t.addr, err = resolve(ctx, host); err != nil {
		return nil, err
	}
	if s := take("local"); s != "" {
		if t.local, err = netip.ParseAddr(s); err != nil {
			return nil, err
		}
	}
	here := t.addr.Addr()
	if dial && t.net && !t.local.IsValid() {
		if t.local, err = sockaddr.Source(t.addr); err != nil {
			return nil, fmt.Errorf("route to %v: %w", t.addr.Addr(), err)
		}
	}
	if dial {
		here = t.local
	}
	scheme, name := u.Scheme, ""
	if scheme == "rdma" {
		scheme = take("provider")
	}
	if scheme, name, err = deviceOf(scheme, take("device"), here); err != nil {
		return nil, err
	}
	if scheme == "mem" {
		name = u.Host
	}
	t.device = scheme + "://" + name
	if rest := q.Encode(); rest != "" {
		t.device += "?" + rest
	}
	return t, nil
}

// deviceOf returns provider and name of the device that has the address here.
func deviceOf(scheme, device string, here netip.Addr) (provider, name string, err error) {
	switch scheme {
	case "ibv", "":
		if device == "" {
			device, _, _, err = rdmalink.System.ByAddr(here)
		}
		if err == nil {
			return "ibv", device, nil
		}
		if scheme == "ibv" {
			return "", "", err
		}
		return "roce", here.String(), nil
	case "roce":
		return scheme, here.String(), nil
	case "shm", "mem":
		return scheme, "", nil
	}
	return "", "", fmt.Errorf("unknown provider %q; there are rdma, %s: %w", scheme, strings.Join(Schemes, ", "), ErrInvalid)
}

// resolve returns the first address of host:port.
func resolve(ctx context.Context, hostport string) (netip.AddrPort, error) {
	host, port, err := net.SplitHostPort(hostport)
	if err != nil {
		return netip.AddrPort{}, err
	}
	p, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("port %q: %w", port, err)
	}
	if a, err := netip.ParseAddr(host); err == nil {
		return netip.AddrPortFrom(a, uint16(p)), nil
	}
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return netip.AddrPort{}, err
	}
	return netip.AddrPortFrom(addrs[0].Unmap(), uint16(p)), nil
}

// isHere reports whether this host, as this network namespace sees it, has the address.
func isHere(a netip.Addr) bool {
	if a.IsLoopback() {
		return true
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	return slices.ContainsFunc(addrs, func(n net.Addr) bool {
		p, err := netip.ParsePrefix(n.String())
		return err == nil && p.Addr().Unmap() == a
	})
}
