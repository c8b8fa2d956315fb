// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"context"
	"errors"
	"net"
	"net/url"
	"slices"
	"strings"

	"lazystate/verbs"
)

// RDMAListener has nodes connect over RDMA.
type RDMAListener struct {
	server       *verbs.Server
	scheme, opts string // of what dials it: before the address and behind it

	refused error              // why who asked last was not accepted
	give    context.CancelFunc // of the Accept that is under way: it returns that
}

// ListenRDMA listens at a URL of package verbs, as rdma://10.77.0.1:0, for
// Config.Listeners. Its Addr is what others dial.
func ListenRDMA(ctx context.Context, at string) (*RDMAListener, error) {
	l, cfg := &RDMAListener{}, queues()
	cfg.Failed = func(err error) { l.refused = err; l.give() }
	var err error
	if l.server, err = verbs.Listen(ctx, at, cfg); err != nil {
		return nil, err
	}
	where, opts, _ := strings.Cut(at, "?")
	l.scheme, l.opts = where[:strings.LastIndex(where, "/")+1], elsewhere(opts)
	return l, nil
}

// elsewhere is what of a listener's options whoever dials it takes over: its device is
// not theirs.
func elsewhere(opts string) string {
	kept := slices.DeleteFunc(strings.Split(opts, "&"), func(o string) bool { return strings.HasPrefix(o, "device=") })
	return strings.Join(kept, "&")
}

// queues are what a connection has: of sends, and of what looks post, three READs and a
// WRITE each that stays until a later one is done. Between processes of one host there
// are rings.
func queues() *verbs.Config {
	return &verbs.Config{
		NoLocal: true,
		Cap:     verbs.QPCap{MaxSendWR: slots + 6*mostLooks, MaxRecvWR: slots, MaxSendSGE: 1, MaxRecvSGE: 1, MaxInline: markSize},
	}
}

// Accept takes the next who dials, or says why it could not be taken: one caller at a
// time.
func (l *RDMAListener) Accept() (net.Conn, error) {
	var ctx context.Context
	ctx, l.give = context.WithCancel(context.Background())
	defer l.give()
	l.refused = nil
	c, err := l.server.Accept(ctx)
	switch {
	case errors.Is(err, verbs.ErrClosed):
		return nil, net.ErrClosed
	case err != nil && l.refused != nil:
		return nil, l.refused
	case err != nil:
		return nil, err
	}
	return newWired(c)
}

// Close ends listening; connections stay.
func (l *RDMAListener) Close() error { return l.server.Close() }

// Carrier is the device that carries the links, as ibv://mlx5_0: rdma:// is whatever has
// that address, in the end RoCE in this process.
func (l *RDMAListener) Carrier() string { return l.server.DeviceURL() }

// Addr is what others dial.
func (l *RDMAListener) Addr() net.Addr {
	a := l.scheme + l.server.Addr().String()
	if l.opts != "" {
		a += "?" + l.opts
	}
	return rdmaAddr(a)
}

// rdmaAddr is what dials a node.
type rdmaAddr string

func (rdmaAddr) Network() string  { return "rdma" }
func (a rdmaAddr) String() string { return string(a) }

// onRDMA is true for an address that is dialed over RDMA.
func onRDMA(address string) bool { return strings.Contains(address, "://") }

// dialRDMA connects, from where this node listens if it does over RDMA.
func (t *Transport) dialRDMA(ctx context.Context, address string) (net.Conn, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	for _, l := range t.cfg.Listeners {
		if r, ok := l.(*RDMAListener); ok && !r.server.Addr().Addr().IsUnspecified() {
			q := u.Query()
			q.Set("local", r.server.Addr().Addr().String())
			u.RawQuery = q.Encode()
		}
	}
	ctx, cancel := context.WithTimeout(ctx, helloBound)
	defer cancel()
	c, err := verbs.Dial(ctx, u.String(), queues())
	if err != nil {
		return nil, err
	}
	return newWired(c)
}
