// SPDX-License-Identifier: Apache-2.0

package wire

import "fmt"

// Reason says why a server advises to move, or why somebody declines.
type Reason uint8

// Reasons of an advice are below 16, of a refusal from there on.
const (
	ReasonLoad    Reason = 1 // the server sheds load
	ReasonDrain   Reason = 2 // it goes down for maintenance
	ReasonContent Reason = 3 // another server is nearer to what this client wants

	// ReasonElsewhere answers MIGRATE_WHERE, and N is 0: the session is no longer here
	// but where the client had taken it, if anywhere.
	ReasonElsewhere Reason = 4

	ReasonCertificate Reason = 16 // not that of a session here
	ReasonUnknown     Reason = 17 // S1 is none that S2 knows
	ReasonSource      Reason = 18 // S1 does not answer S2
	ReasonResources   Reason = 19 // no room for the session
	ReasonState       Reason = 20 // the session is in no state to be moved
	ReasonPolicy      Reason = 21 // the client does not want to
	ReasonBusy        Reason = 22 // it is being moved already

	// ReasonStays is no answer to an advice: N is that of an attempt to move, which is
	// over, and S1 goes on by it. An advice's number may be the same.
	ReasonStays Reason = 23
)

var reasons = map[Reason]string{
	ReasonLoad: "load", ReasonDrain: "drain", ReasonContent: "content", ReasonElsewhere: "elsewhere",
	ReasonCertificate: "certificate", ReasonUnknown: "unknown server", ReasonSource: "no answer from the source",
	ReasonResources: "resources", ReasonState: "state", ReasonPolicy: "policy", ReasonBusy: "busy", ReasonStays: "the client stays",
}

func (r Reason) String() string {
	if s, ok := reasons[r]; ok {
		return s
	}
	return fmt.Sprintf("reason %d", uint8(r))
}
