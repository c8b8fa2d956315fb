// SPDX-License-Identifier: Apache-2.0

package soft

import (
	"fmt"

	"lazystate/verbs/driver"
)

// Peer is what a connection manager tells one side of the other.
type Peer struct {
	QPN   uint32
	PSN   uint32 // of the first packet that the peer sends
	GID   driver.GID
	Param driver.ConnParam // of the peer
}

// PSN returns a random first packet number.
func PSN() uint32 { return randomUint32() & 0xffffff }

// minRNRTimer is told to a peer that finds no receive: 0.64 ms.
const minRNRTimer = 12

// defaultAckTimeout is 67 ms (DECISION 25).
const defaultAckTimeout = 14

// Join moves qp from INIT, or from RESET, to RTS: it is connected with peer and
// begins at psn. own are the parameters of this side; retries is what the
// active side asked for.
func (qp *QP) Join(peer Peer, psn uint32, own driver.ConnParam, retries uint8) error {
	qp.Lock()
	defer qp.Unlock()
	a := driver.QPAttr{
		Port: 1, Access: qp.Attr.Access, PathMTU: driver.MTU4096, DestQPN: peer.QPN, RQPSN: peer.PSN, MinRNRTimer: minRNRTimer,
		AV: driver.AHAttr{DGID: peer.GID, Port: 1}, MaxDestRdAtomic: own.ResponderResources,
		SQPSN: psn, Timeout: own.AckTimeout, RetryCount: retries, RNRRetry: peer.Param.RNRRetry,
		MaxRdAtomic: min(own.InitiatorDepth, peer.Param.ResponderResources),
	}
	if a.Timeout == 0 {
		a.Timeout = defaultAckTimeout
	}
	if qp.State == driver.QPReset {
		a.Access = remoteChanges | driver.AccessRemoteRead
	}
	steps := []driver.QPState{driver.QPInit, driver.QPRTR, driver.QPRTS}
	for _, a.State = range steps {
		if err := qp.Modify(&a, needed[a.State]|driver.QPMaskState); err != nil {
			return err
		}
	}
	return nil
}

// CheckPrivate refuses private data that the service's messages cannot carry.
func CheckPrivate(data []byte, most int) error {
	if len(data) > most {
		return fmt.Errorf("%d bytes of private data, at most %d: %w", len(data), most, driver.ErrInvalid)
	}
	return nil
}
