// SPDX-License-Identifier: Apache-2.0

package rdma

import (
	"context"
	"errors"
	"fmt"
	"time"

	"lazystate/backdoor"
	"lazystate/backdoor/uapi"
	"lazystate/verbs"
	"lazystate/verbs/driver"
)

// helloTries bounds how often a denial that says what to ask with is followed.
const helloTries = 5

// maxReads is how many READs a queue pair asks for at once.
const maxReads = 16

// errNewGrant: the grant that a queue pair was to join is no more.
var errNewGrant = errors.New("the grant has ended")

// dial connects one queue pair. join is the grant whose keys it shares; nil for
// one of its own.
func (m *Memory) dial(ctx context.Context, join *session) (*verbs.QP, *uapi.Grant, error) {
	ctx, cancel := context.WithTimeout(ctx, m.o.Dial)
	defer cancel()
	h := uapi.Hello{Magic: uapi.HelloMagic, Major: uapi.VersionMajor, Minor: uapi.VersionMinor, Monitor: m.o.Monitor}
	if join != nil {
		h.Join = join.grant.Grant
		m.boot = join.grant.Root.BootID
	} else if m.o.Takeover {
		h.Flags = uapi.HelloTakeover
	}
	var denied *DeniedError
	for range helloTries {
		m.counter = max(m.counter+1, uint64(time.Now().UnixNano()))
		h.Counter = m.counter
		h.Sign(m.o.Key, m.boot)
		qp, reply, err := m.connect(ctx, h.Encode())
		if err == nil {
			return m.granted(qp, reply, &h)
		}
		var rejected *verbs.RejectError
		if !errors.As(err, &rejected) || rejected.Reason != driver.RejectConsumer {
			return nil, nil, err
		}
		if denied, err = m.denial(rejected.Private, &h); denied == nil {
			return nil, nil, err
		}
		switch {
		case !denied.Signed:
			return nil, nil, denied
		case denied.Reason == uapi.DenyJoin, denied.Reason == uapi.DenyBootID && join != nil:
			return nil, nil, errNewGrant
		case denied.Reason != uapi.DenyBootID && denied.Reason != uapi.DenyCounter:
			return nil, nil, denied
		}
	}
	return nil, nil, denied
}

// denial takes a target's answer, and from a signed one what to ask with.
func (m *Memory) denial(b []byte, h *uapi.Hello) (*DeniedError, error) {
	d, signed, err := decodeDenial(b, h, m.o.Key)
	if err != nil {
		return nil, err
	}
	if signed {
		m.boot, m.counter = d.BootID, max(m.counter, d.Highest)
	}
	return &DeniedError{Reason: d.Reason, Signed: signed}, nil
}

// decodeDenial takes the private data of a rejection apart. signed: it is the
// answer to this hello of somebody who has the key.
func decodeDenial(b []byte, h *uapi.Hello, key uapi.Key) (d uapi.Denial, signed bool, err error) {
	if err := d.Decode(b); err != nil || d.Magic != uapi.DenialMagic || d.Reason == 0 {
		return d, false, fmt.Errorf("connection denied with %d bytes that are no denial", len(b))
	}
	if d.Major != uapi.VersionMajor {
		return d, false, fmt.Errorf("connection denied: the target speaks version %d.%d, this monitor %d.x", d.Major, d.Minor, uapi.VersionMajor)
	}
	return d, d.SignedWith(key) && d.Counter == h.Counter && d.Monitor == h.Monitor, nil
}

// connect makes one queue pair and lets the connection manager connect it.
func (m *Memory) connect(ctx context.Context, hello []byte) (*verbs.QP, []byte, error) {
	route, err := m.o.Device.Resolve(ctx, m.o.Local, m.o.Remote)
	if err != nil {
		return nil, nil, err
	}
	inline := m.o.Device.Attr().MaxInline
	p, err := m.pd.PrepareQP(&verbs.QPInitAttr{
		SendCQ: m.cq, Access: verbs.AccessRemoteWrite, // the target asks by WRITEs of no bytes whether we are there
		Cap: verbs.QPCap{MaxSendWR: depth, MaxRecvWR: 1, MaxSendSGE: 1, MaxRecvSGE: 1, MaxInline: min(inline, mostInline)},
	})
	if err != nil {
		return nil, nil, errors.Join(err, route.Close())
	}
	param := verbs.ConnParam{
		Private: hello, InitiatorDepth: maxReads, ResponderResources: 1,
		RetryCount: m.o.Retries, RNRRetry: 7, AckTimeout: m.o.AckTimeout,
	}
	qp, reply, err := route.Connect(ctx, p, &param)
	if err != nil {
		return nil, nil, errors.Join(err, p.Close())
	}
	return qp, reply.Private, nil
}

// mostInline is what a commit word and a lock request take, and a few kills.
const mostInline = 256

// granted takes what the target gave, or hangs up.
func (m *Memory) granted(qp *verbs.QP, b []byte, h *uapi.Hello) (*verbs.QP, *uapi.Grant, error) {
	g, err := decodeGrant(b, h, m.o.Key)
	if err != nil {
		return nil, nil, errors.Join(err, m.hangUp(qp))
	}
	return qp, g, nil
}

// decodeGrant checks that a grant comes from who has the key, and answers this
// hello.
func decodeGrant(b []byte, h *uapi.Hello, key uapi.Key) (*uapi.Grant, error) {
	var g uapi.Grant
	if err := g.Decode(b); err != nil {
		return nil, fmt.Errorf("the target's grant: %w", err)
	}
	switch {
	case g.Magic != uapi.GrantMagic || g.Major != uapi.VersionMajor:
		return nil, fmt.Errorf("the target's grant has magic %#x, version %d.%d", g.Magic, g.Major, g.Minor)
	case !g.SignedWith(key) || g.Counter != h.Counter || g.Monitor != h.Monitor:
		return nil, errors.New("the grant is not signed by the target for this request")
	case g.Root.BootID != h.BootID:
		return nil, fmt.Errorf("the grant is of boot %s, asked for was %s", backdoor.BootID(g.Root.BootID), backdoor.BootID(h.BootID))
	case h.Join != 0 && g.Grant != h.Join:
		return nil, errNewGrant
	}
	return &g, nil
}

// hangUp ends a queue pair; the peer is told if it can be.
func (m *Memory) hangUp(qp *verbs.QP) error {
	ctx, cancel := context.WithTimeout(context.Background(), farewell)
	defer cancel()
	_ = qp.Disconnect(ctx) // the peer may be gone
	return qp.Close()
}

// farewell bounds the wait for a peer that should say goodbye.
const farewell = 300 * time.Millisecond
