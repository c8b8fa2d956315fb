// SPDX-License-Identifier: Apache-2.0

package driver

import (
	"context"
	"fmt"
	"net/netip"
)

// Private data that fits beside what the RDMA IP CM service uses itself.
const (
	MaxRequestPrivate = 56  // of a dial
	MaxReplyPrivate   = 196 // of an accept
	MaxRejectPrivate  = 148
)

// ConnParam is struct rdma_conn_param.
type ConnParam struct {
	Private            []byte
	ResponderResources uint8 // READs and atomics this side answers at once
	InitiatorDepth     uint8 // and asks at once
	RetryCount         uint8
	RNRRetry           uint8
	AckTimeout         uint8 // code; 0: the provider's default
}

// CM is a device's connection manager: the RDMA IP CM service, port space
// RDMA_PS_TCP (InfiniBand specification volume 1 chapter 12, annex A11).
type CM interface {
	Listen(local netip.AddrPort, backlog int) (Listener, error)
	// Resolve prepares a connection to remote: address and route. local may be
	// the zero Addr.
	Resolve(ctx context.Context, local netip.Addr, remote netip.AddrPort) (Conn, error)
}

// Listener waits for connection requests.
type Listener interface {
	// Accept returns the next request. What is to be told or refused is in the
	// Conn's Request.
	Accept(ctx context.Context) (Conn, error)
	Addr() netip.AddrPort
	Close() error
}

// Conn is one connection in the making or made: an rdma_cm_id. The QP it is
// given is moved through INIT and RTR to RTS by it.
type Conn interface {
	Local() netip.AddrPort
	Remote() netip.AddrPort

	// Request is what the active side sent; of an accepted Conn only.
	Request() ConnParam

	// Connect asks the passive side (REQ, then RTU) and returns its reply.
	// *RejectError if it said no, ErrUnreachable if it said nothing.
	Connect(ctx context.Context, qp QP, p ConnParam) (ConnParam, error)
	// Accept replies (REP) and waits until the active side is ready.
	Accept(ctx context.Context, qp QP, p ConnParam) error
	Reject(private []byte) error

	// Disconnect sends DREQ and waits for the DREP, a bounded time.
	Disconnect(ctx context.Context) error
	// Done is closed when either side has disconnected; the QP is in the error
	// state then, so that what is posted is flushed.
	Done() <-chan struct{}

	Close() error
}

// RejectReason is the reason of a CM REJ (table 107 of the specification).
type RejectReason uint16

const (
	RejectNoQP             RejectReason = 1
	RejectNoResources      RejectReason = 3
	RejectTimeout          RejectReason = 4
	RejectUnsupported      RejectReason = 5
	RejectInvalidServiceID RejectReason = 8 // nobody listens there
	RejectInvalidTransport RejectReason = 9
	RejectStaleConn        RejectReason = 10
	RejectConsumer         RejectReason = 28 // the listener's owner said no
)

// RejectError is a connection that the peer refused.
type RejectError struct {
	Reason  RejectReason
	Private []byte
}

func (e *RejectError) Error() string {
	switch e.Reason {
	case RejectInvalidServiceID:
		return "connection refused: nobody listens at that port (reason 8, invalid service id)"
	case RejectConsumer:
		return fmt.Sprintf("connection refused by the peer's program (reason 28, %d bytes of private data)", len(e.Private))
	case RejectStaleConn:
		return "connection refused: the peer still has an older one (reason 10, stale connection)"
	}
	return fmt.Sprintf("connection refused: reason %d", uint16(e.Reason))
}
