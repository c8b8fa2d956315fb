// SPDX-License-Identifier: Apache-2.0

package takeover

import (
	"fmt"
	"net/netip"
	"os"
	"sync/atomic"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// guard is a table of nftables with two sets of addresses, whose TCP neither
// comes in nor goes out. The loopback is left alone.
type guard struct {
	nft    *nftables.Conn
	table  *nftables.Table
	v4, v6 *nftables.Set
}

// The guard comes before defragmentation and connection tracking
// (include/uapi/linux/netfilter_ipv4.h, NF_IP_PRI_*): what it drops leaves no
// trace there.
const guardPriority = -450

// tableOwner is NFT_TABLE_F_OWNER: the kernel removes the table when the socket
// that made it is closed, and nobody else changes it. Since 5.12.
const tableOwner = 2

// loopback has the same index in every namespace.
const loopback = 1

var guards atomic.Uint32

func newGuard() (*guard, error) {
	c, err := nftables.New(nftables.AsLasting())
	if err != nil {
		return nil, fmt.Errorf("guard: %w", err)
	}
	g := &guard{nft: c}
	g.table = c.AddTable(&nftables.Table{
		Name:   fmt.Sprintf("lazystate_%d_%d", os.Getpid(), guards.Add(1)),
		Family: nftables.TableFamilyINet, Flags: tableOwner,
	})
	if err := g.fill(); err != nil {
		c.CloseLasting()
		return nil, fmt.Errorf("guard: nftables: %w", err)
	}
	return g, nil
}

func (g *guard) fill() error {
	g.v4 = &nftables.Set{Table: g.table, Name: "v4", KeyType: nftables.TypeIPAddr}
	g.v6 = &nftables.Set{Table: g.table, Name: "v6", KeyType: nftables.TypeIP6Addr}
	for _, s := range []*nftables.Set{g.v4, g.v6} {
		if err := g.nft.AddSet(s, nil); err != nil {
			return err
		}
	}
	in := g.chain("in", nftables.ChainHookPrerouting)
	g.drop(in, expr.MetaKeyIIF, unix.NFPROTO_IPV4, 16, 4, g.v4)
	g.drop(in, expr.MetaKeyIIF, unix.NFPROTO_IPV6, 24, 16, g.v6)
	out := g.chain("out", nftables.ChainHookOutput)
	g.drop(out, expr.MetaKeyOIF, unix.NFPROTO_IPV4, 12, 4, g.v4)
	g.drop(out, expr.MetaKeyOIF, unix.NFPROTO_IPV6, 8, 16, g.v6)
	return g.nft.Flush()
}

func (g *guard) chain(name string, hook *nftables.ChainHook) *nftables.Chain {
	return g.nft.AddChain(&nftables.Chain{
		Name: name, Table: g.table, Type: nftables.ChainTypeFilter, Hooknum: hook,
		Priority: nftables.ChainPriorityRef(guardPriority),
	})
}

// drop adds: TCP of a family, not over the loopback, whose address at an offset
// of the network header is in the set.
func (g *guard) drop(c *nftables.Chain, dev expr.MetaKey, family byte, off, n uint32, set *nftables.Set) {
	g.nft.AddRule(&nftables.Rule{Table: g.table, Chain: c, Exprs: []expr.Any{
		&expr.Meta{Key: dev, Register: 1},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: []byte{loopback, 0, 0, 0}},
		&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{family}},
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{unix.IPPROTO_TCP}},
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: off, Len: n},
		&expr.Lookup{SourceRegister: 1, SetName: set.Name, SetID: set.ID},
		&expr.Verdict{Kind: expr.VerdictDrop},
	}})
}

func (g *guard) element(ip netip.Addr) (*nftables.Set, []nftables.SetElement) {
	if ip.Is4() {
		return g.v4, []nftables.SetElement{{Key: ip.AsSlice()}}
	}
	return g.v6, []nftables.SetElement{{Key: ip.AsSlice()}}
}

// on returns when no segment of ip passes any more.
func (g *guard) on(ip netip.Addr) error {
	set, e := g.element(ip)
	if err := g.nft.SetAddElements(set, e); err != nil {
		return fmt.Errorf("guard %s: %w", ip, err)
	}
	if err := g.nft.Flush(); err != nil {
		return fmt.Errorf("guard %s: nftables: %w", ip, err)
	}
	return nil
}

func (g *guard) off(ip netip.Addr) error {
	set, e := g.element(ip)
	if err := g.nft.SetDeleteElements(set, e); err != nil {
		return fmt.Errorf("end the guard of %s: %w", ip, err)
	}
	if err := g.nft.Flush(); err != nil {
		return fmt.Errorf("end the guard of %s: nftables: %w", ip, err)
	}
	return nil
}

func (g *guard) close() error {
	g.nft.DelTable(g.table)
	err := g.nft.Flush()
	if cerr := g.nft.CloseLasting(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("guard: nftables: %w", err)
	}
	return nil
}
