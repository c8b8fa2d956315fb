// SPDX-License-Identifier: Apache-2.0

package takeover

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"sync/atomic"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"lazystate/mtcp/tcprepair"
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
	name := fmt.Sprintf("lazystate_%d_%d", os.Getpid(), guards.Add(1))
	own := func(c *netlink.Conn) error { return ownTable(c, name) }
	c, err := nftables.New(nftables.AsLasting(), nftables.WithSockOptions(own))
	if err != nil {
		return nil, fmt.Errorf("guard: %w", err)
	}
	g := &guard{nft: c, table: &nftables.Table{Name: name, Family: nftables.TableFamilyINet}}
	if err := g.fill(); err != nil {
		c.CloseLasting()
		return nil, fmt.Errorf("guard: nftables: %w", err)
	}
	return g, nil
}

// ownTable makes a table that belongs to this netlink socket. The nftables
// library leaves a table's flags out (v0.3.0, Conn.AddTable).
func ownTable(c *netlink.Conn, name string) error {
	attrs, err := netlink.MarshalAttributes([]netlink.Attribute{
		{Type: unix.NFTA_TABLE_NAME, Data: append([]byte(name), 0)},
		{Type: unix.NFTA_TABLE_FLAGS, Data: []byte{0, 0, 0, tableOwner}},
	})
	if err != nil {
		return err
	}
	message := func(kind uint16, flags netlink.HeaderFlags, family byte, data ...byte) netlink.Message {
		return netlink.Message{
			Header: netlink.Header{Type: netlink.HeaderType(kind), Flags: netlink.Request | flags},
			Data:   append([]byte{family, unix.NFNETLINK_V0, 0, unix.NFNL_SUBSYS_NFTABLES}, data...),
		}
	}
	_, err = c.SendMessages([]netlink.Message{
		message(unix.NFNL_MSG_BATCH_BEGIN, 0, 0),
		message(unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_NEWTABLE, netlink.Create|netlink.Excl|netlink.Acknowledge, unix.NFPROTO_INET, attrs...),
		message(unix.NFNL_MSG_BATCH_END, 0, 0),
	})
	if err == nil {
		_, err = c.Receive()
	}
	if err != nil {
		return fmt.Errorf("make table %s: %w", name, err)
	}
	return nil
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
	// An Asker's questions go out; the answers it hears before they are dropped.
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
		&expr.Meta{Key: expr.MetaKeyMARK, Register: 1},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: binary.NativeEndian.AppendUint32(nil, tcprepair.ProbeMark)},
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
