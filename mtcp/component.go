// SPDX-License-Identifier: Apache-2.0

package mtcp

import "fmt"

// Class says what becomes of a part of an endpoint's state whose node has
// failed (§3.6.5).
type Class uint8

// The three classes.
const (
	Hard      Class = iota + 1 // is fetched and reinstated
	Sensitive                  // is kept unless the failure may have spoiled it: see Path
	Soft                       // is discarded; TCP learns it anew from traffic
)

func (c Class) String() string { return [...]string{"", "hard", "sensitive", "soft"}[c] }

// Component is a part of an endpoint's state.
type Component uint8

// The components that §3.6.5 names, in its order.
const (
	StateMachine Component = iota
	Addresses
	Ports
	DataNumbers
	AckNumbers
	ReceiveLog
	SendBuffer
	HandshakeOptions
	Windows
	TimestampClock
	UserOptions
	CongestionWindow
	SlowStartThreshold
	SmoothedRTT
	RTTVariance
	RetransmissionTimeout
	Timers
	MeasuredRTT
	Backoff
	components
)

var componentTable = [components]struct {
	name  string
	class Class
}{
	StateMachine:          {"state of the finite-state machine", Hard},
	Addresses:             {"addresses", Hard},
	Ports:                 {"ports", Hard},
	DataNumbers:           {"sequence numbers", Hard},
	AckNumbers:            {"acknowledgement numbers", Hard},
	ReceiveLog:            {"data received and acknowledged since the snapshot", Hard},
	SendBuffer:            {"data sent or written and not acknowledged", Hard},
	HandshakeOptions:      {"options of the handshake", Hard},
	Windows:               {"windows of both directions", Hard},
	TimestampClock:        {"timestamps", Hard},
	UserOptions:           {"options that the user has set", Hard},
	CongestionWindow:      {"congestion window", Sensitive},
	SlowStartThreshold:    {"slow-start threshold", Sensitive},
	SmoothedRTT:           {"smoothed round-trip time", Sensitive},
	RTTVariance:           {"its variance", Sensitive},
	RetransmissionTimeout: {"retransmission time-out", Sensitive},
	Timers:                {"running timers", Soft},
	MeasuredRTT:           {"the round trip being measured", Soft},
	Backoff:               {"back-off of retransmissions", Soft},
}

// Components lists them all.
func Components() []Component {
	all := make([]Component, components)
	for i := range all {
		all[i] = Component(i)
	}
	return all
}

// Class says what becomes of it.
func (c Component) Class() Class { return componentTable[c].class }

func (c Component) String() string {
	if c >= components {
		return fmt.Sprintf("component %d", uint8(c))
	}
	return componentTable[c].name
}
