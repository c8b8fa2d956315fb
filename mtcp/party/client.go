// SPDX-License-Identifier: Apache-2.0

package party

import "fmt"

// ClientState is the client's. Asking and Switching are MIGRATING of §2.5.2.
type ClientState uint8

// The client's states.
const (
	Off       ClientState = iota // it is where it was
	Beginning                    // MIGRATING is being entered
	Asking                       // MIGRATE_REQUEST is out
	Switching                    // MIGRATE_REPLY is in: S1 is being left
	Switched                     // RCVD_WHILE_MIGRATING is out
	Arrived                      // S2 has spoken
	Staying                      // S1 is being told that it was in vain
	Following                    // S1 has said that a server which was given up has it
	Stranded                     // the connection has ended
)

func (s ClientState) String() string {
	if s > Stranded {
		return fmt.Sprintf("state %d", uint8(s))
	}
	return [...]string{"OFF", "BEGINNING", "ASKING", "SWITCHING", "SWITCHED", "ARRIVED", "STAYING", "FOLLOWING", "STRANDED"}[s]
}

// Client is the agent of one session, for one move after another.
type Client struct {
	t       Timing
	state   ClientState
	targets int // not tried yet
	tries   int
	why     string // the last server did not take it
}

// NewClient makes one whose session may go to so many servers, one tried after
// the other: each Begin is for the next of them.
func NewClient(t Timing, targets int) *Client { return &Client{t: t, targets: targets} }

// ResumeClient makes one that an earlier agent left amid a move, with no server that it
// could ask next: it had switched, or it had not, as the kernel's programs say. Start it.
func ResumeClient(t Timing, switched bool) *Client {
	if switched {
		return &Client{t: t, state: Switched}
	}
	return &Client{t: t, state: Asking}
}

// FollowClient makes one whose session is with the server that it had switched to and
// given up, for nothing was heard: S1, which has let go of it for good, says so.
func FollowClient(t Timing) *Client { return &Client{t: t, state: Following} }

// State is where it stands.
func (c *Client) State() ClientState { return c.state }

// Step takes an event.
func (c *Client) Step(e Event) []Effect {
	switch c.state {
	case Off:
		if e.Kind == Start {
			return c.next("no server to go to")
		}
	case Beginning:
		return c.beginning(e)
	case Asking:
		return c.asking(e)
	case Switching:
		return c.switching(e)
	case Switched:
		return c.switched(e)
	case Staying:
		return c.staying(e)
	case Following:
		return c.following(e)
	}
	return nil
}

func (c *Client) next(why string) []Effect {
	if c.targets == 0 {
		c.state = Off
		return all(end(why))
	}
	c.targets--
	c.tries = 0
	c.state = Beginning
	return all(do(Begin))
}

func (c *Client) beginning(e Event) []Effect {
	switch e.Kind {
	case Done:
		c.state = Asking
		return all(say(Request), wake(c.t.Retry))
	case Failed: // S1 was not asked for anything
		return c.next(e.Why)
	}
	return nil
}

func (c *Client) asking(e Event) []Effect {
	switch e.Kind {
	case Reply:
		c.state = Switching
		return all(do(Switch))
	case Refuse:
		return c.fallBack(e.why())
	case Start: // of whose attempt nobody knows any more: S1 can go on
		return c.fallBack("its agent was started anew")
	case Gone:
		c.targets = 0
		return c.fallBack(e.why())
	case Timer:
		if c.tries++; c.tries >= c.t.Tries {
			return c.fallBack("no answer")
		}
		return all(say(Request), wake(c.t.Retry))
	}
	return nil
}

// fallBack ends an attempt: whatever S2 still says to it is not heard.
func (c *Client) fallBack(why string) []Effect {
	c.state, c.tries, c.why = Staying, 0, why
	return all(do(FallBack), sayWhy(Stay, why), wake(c.t.Retry))
}

func (c *Client) switching(e Event) []Effect {
	switch e.Kind {
	case Done:
		c.state, c.tries = Switched, 0
		return all(say(Ack), wake(c.t.Retry))
	case Failed: // MIGRATING had ended before
		return c.fallBack(e.Why)
	}
	return nil
}

func (c *Client) switched(e Event) []Effect {
	switch e.Kind {
	case Opened:
		c.state = Arrived
		return all(end(""))
	case Reply: // the Ack was lost
		return all(say(Ack))
	case Start: // it may not have been said
		return all(say(Ack), wake(c.t.Retry))
	case Refuse:
		return c.goBack(Return, e.why())
	case Gone:
		c.state = Stranded
		return all(end(e.why()))
	case Timer:
		if c.tries++; c.tries >= patience*c.t.Holds {
			return c.goBack(Seek, "the new server is silent")
		}
		return all(say(Ack), wake(c.t.Retry))
	}
	return nil
}

// patience is how much longer a client waits for a server that has its word than one
// would wait for that. The session may live there: whoever goes back loses it, and TCP
// itself would wait for far longer. S1 is deaf meanwhile, or waits as well.
const patience = 6

// goBack gives up a server that has the client's word. Whether S1 goes on is
// S1's to know: it is deaf until S2 has said that it never will, and so it gives
// nothing to another server before. Nothing is said to S1, for nothing is known; if
// S2 was silent S1 is asked.
func (c *Client) goBack(by Do, why string) []Effect {
	return append(all(do(by)), c.next(why)...)
}

// following goes to the server that has the session, and says again what that knows.
func (c *Client) following(e Event) []Effect {
	switch e.Kind {
	case Start:
		return all(do(Follow))
	case Done:
		c.state = Switched
		return all(say(Ack), wake(c.t.Retry))
	case Failed: // S1 can be asked again
		c.state = Off
		return all(end(e.Why))
	}
	return nil
}

// staying tells S1, which is deaf, that it can go on; then the next server is
// asked, if there is one.
func (c *Client) staying(e Event) []Effect {
	if e.Kind != Timer {
		return nil
	}
	if c.tries++; c.targets > 0 || c.tries >= c.t.Stays {
		return c.next(c.why)
	}
	return all(say(Stay), wake(c.t.Retry))
}
