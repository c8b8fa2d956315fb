// SPDX-License-Identifier: Apache-2.0

package driver

import (
	"context"
	"errors"
)

// Provider opens devices. Each package of one has a type Provider, which
// verbs.Open knows.
type Provider interface {
	// Name is the scheme of its devices' URLs.
	Name() string
	// Devices lists what can be opened; ErrNotSupported where this machine
	// cannot have such devices at all.
	Devices() ([]string, error)
	// Open opens a device by its URL without "scheme:" and "//": a name, then
	// "?key=value&..." if there are options.
	Open(ctx context.Context, name string) (Device, error)
}

var (
	// ErrNotSupported: this build or this device does not have it.
	ErrNotSupported = errors.New("not supported")
	// ErrInvalid: no device could do that, or not in this state (EINVAL).
	ErrInvalid = errors.New("invalid argument")
	// ErrQueueFull: the queue has no room for this work request (ENOMEM).
	ErrQueueFull = errors.New("work queue is full")
	// ErrClosed: the device or the connection was closed.
	ErrClosed = errors.New("closed")
	// ErrNoAnswer of a ReadGate: the peer is to hear nothing, for now.
	ErrNoAnswer = errors.New("no answer is given")
	// ErrUnreachable: the peer did not answer the connection manager's tries.
	ErrUnreachable = errors.New("peer does not answer")
)

// Device is an open RDMA device. Its methods are safe for concurrent use, save
// that one queue pair or completion queue is posted to or polled by one
// goroutine at a time.
type Device interface {
	Attr() DeviceAttr
	Port(num int) (PortAttr, error)
	GIDs(port int) ([]GIDEntry, error)

	AllocPD() (PD, error)
	DeallocPD(PD) error

	// Alloc returns page-aligned memory that suits registration with this
	// device (memfd where it can be shared); Free ends it.
	Alloc(bytes int) (Memory, error)
	Free(Memory) error

	// RegMR registers m so that its first byte has the remote address iova
	// (0 with AccessZeroBased; else usually the address of the byte itself).
	RegMR(pd PD, m Memory, iova uint64, a Access) (MRInfo, error)
	DeregMR(MR) error

	AllocMW(PD) (mw MW, rkey uint32, err error) // type 2; ErrNotSupported without CapWindows
	DeallocMW(MW) error

	// CreateChannel makes a completion channel; fd becomes readable when a CQ
	// that was armed has an event, and is in non-blocking mode.
	CreateChannel() (ch Channel, fd int, err error)
	DestroyChannel(Channel) error
	// NextCQ takes one event off a channel and acknowledges it; 0 if there is none.
	NextCQ(Channel) (CQ, error)

	CreateCQ(depth int, ch Channel) (CQ, error)
	DestroyCQ(CQ) error
	// PollCQ takes up to len(wc) completions and never waits.
	PollCQ(cq CQ, wc []WC) (int, error)
	// ArmCQ asks for one event at the next completion. A completion that came
	// before it raises none: poll once more after arming.
	ArmCQ(cq CQ, solicitedOnly bool) error

	CreateSRQ(pd PD, maxWR, maxSGE int) (SRQ, error)
	// ArmSRQ asks for one EventSRQLimit when fewer than limit receives are left.
	ArmSRQ(srq SRQ, limit int) error
	DestroySRQ(SRQ) error
	PostSRQRecv(srq SRQ, wrs []RecvWR) (int, error)

	CreateQP(pd PD, attr *QPInitAttr) (QPInfo, error)
	ModifyQP(qp QP, attr *QPAttr, mask QPMask) error
	QueryQP(QP) (QPAttr, error)
	// DestroyQP drops the completions of qp that were not polled.
	DestroyQP(QP) error
	// PostSend takes requests in RTS; in the error state they are flushed, before
	// RTS it is ErrInvalid. PostRecv takes them from INIT on.
	PostSend(qp QP, wrs []SendWR) (int, error)
	PostRecv(qp QP, wrs []RecvWR) (int, error)

	CreateAH(pd PD, attr *AHAttr) (AH, error)
	DestroyAH(AH) error

	// NextEvent waits for an asynchronous event; ErrNotSupported without CapEvents.
	NextEvent(ctx context.Context) (AsyncEvent, error)

	// CM returns the device's connection manager; ErrNotSupported without CapCM.
	CM() (CM, error)

	Close() error
}

// Waiter is a device whose caller can drive it while waiting: PollCQ that
// waits for the first completion until ctx ends. It saves the hand-over between
// threads that a completion channel costs.
type Waiter interface {
	WaitCQ(ctx context.Context, cq CQ, wc []WC) (int, error)
}

// Handler answers remote operations on a registration without memory of its
// own: it is where a guard sits (§3.8). A WRITE is one call with the whole
// message; an error is a remote access error at the peer. qp names the
// connection that asked.
type Handler interface {
	RemoteRead(qp QP, off uint64, dst []byte) error
	RemoteWrite(qp QP, off uint64, src []byte) error
	RemoteCmpSwap(qp QP, off uint64, compare, swap uint64) (old uint64, err error)
	RemoteFetchAdd(qp QP, off uint64, add uint64) (old uint64, err error)
}

// ReadGate is a Handler that is asked about each READ as a whole when its request
// arrives; RemoteRead then brings the bytes, in pieces, and again where an answer
// was lost. ErrNoAnswer: the request is taken for lost, so that the peer asks again
// after its ack timeout, until its retries are used up.
type ReadGate interface {
	AdmitRead(qp QP, off, n uint64) error
}

// HandlerDevice is a device with CapHandler. It asks a ReadGate.
type HandlerDevice interface {
	RegHandler(pd PD, h Handler, iova, length uint64, a Access) (MRInfo, error)
}

// EventType is enum ibv_event_type.
type EventType uint8

const (
	EventCQErr EventType = iota
	EventQPFatal
	EventQPReqErr
	EventQPAccessErr
	EventCommEst
	EventSQDrained
	EventPathMig
	EventPathMigErr
	EventDeviceFatal
	EventPortActive
	EventPortErr
	EventLIDChange
	EventPKeyChange
	EventSMChange
	EventSRQErr
	EventSRQLimit
	EventQPLastWQE
	EventClientReregister
	EventGIDChange
)

// AsyncEvent is struct ibv_async_event: the handle that its type speaks of is set.
type AsyncEvent struct {
	Type EventType
	QP   QP
	CQ   CQ
	SRQ  SRQ
	Port int
}
