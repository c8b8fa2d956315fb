// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"lazystate/dsm"
	"lazystate/dsm/shelf"
	"lazystate/internal/identity"
	"lazystate/internal/keyfile"
	"lazystate/internal/sampling"
)

// Config is of one incarnation of a node.
type Config struct {
	Cluster     dsm.Config
	Incarnation uint32
	Key         [keyfile.Size]byte // of the run: who has it is a node of it
	Listeners   []net.Listener     // of TCP or unix sockets, or of ListenRDMA; closed by Close
	// Address is where a node listens: host:port, unix: and a path, or a URL of package
	// verbs. It is asked for at each attempt; "" is nowhere, so far, and who waits for the
	// node is told of an error.
	Address func(dsm.NodeID) (string, error)
	// Silence is how long nothing may come of a peer before it is lost.
	Silence time.Duration
	// MostKept is how many bytes may wait for a peer, to be sent or acknowledged: 0
	// is 4 GiB.
	MostKept int

	// For tests: the longest message, TLS on the loopback too, and dialing as another
	// host would.
	longest    int
	everywhere bool
	dials      func(ctx context.Context, network, address string) (net.Conn, error)
}

// Receiver is told what comes. What is of one peer is told by one goroutine at a
// time, in order; it may take its time, and the peer waits then.
type Receiver interface {
	// Deliver gives it a message, in order of Seq.
	Deliver(m *dsm.Message)
	// Up begins a connection with an incarnation of a peer.
	Up(peer dsm.NodeID, inc uint32)
	// Lost ends it. It is made anew, unless the peer is dead or has left.
	Lost(peer dsm.NodeID, inc uint32, why error)
	// Found answers a Look that was not answered at once.
	Found(f dsm.Found)
	// Nonsense is of who says what cannot be, or is refused, or refuses: another
	// version, cluster or key, or ErrSuperseded or ErrForgotten;
	// and of who was to be told something that is ErrTooLong.
	Nonsense(peer dsm.NodeID, why error)
}

// Transport is a node's links to all others.
type Transport struct {
	cfg    Config
	recv   Receiver
	id     *identity.Identity
	start  time.Time
	beat   time.Duration
	links  []*link      // by node; nil for this one
	shelf  *shelf.Shelf // nil: none
	guests chan struct{}
	tell   tell
	closed atomic.Bool
	// flushed is true once somebody calls Flush.
	flushed atomic.Bool
	ctx     context.Context
	stop    context.CancelFunc
	tasks   sync.WaitGroup
}

// tell counts what strangers had the receiver told.
type tell struct {
	mu    sync.Mutex
	count int
	last  time.Duration
}

// New begins to listen and to connect.
func New(cfg Config, recv Receiver) (*Transport, error) {
	plan, err := beats(cfg.Silence)
	if err != nil {
		return nil, fmt.Errorf("links of %v: lost after %v of silence: %w", cfg.Cluster.Self, cfg.Silence, err)
	}
	if cfg.MostKept == 0 {
		cfg.MostKept = 4 << 30
	}
	if cfg.longest == 0 {
		cfg.longest = mostMessage
	}
	pem, _, err := identity.New()
	if err != nil {
		return nil, err
	}
	t := &Transport{cfg: cfg, recv: recv, start: time.Now(), beat: plan.Period, guests: make(chan struct{}, mostGuests)}
	if t.id, err = identity.Parse(pem); err != nil {
		return nil, err
	}
	if cfg.Cluster.Shelves {
		if t.shelf, err = shelf.New(cfg.Cluster, cfg.Incarnation); err != nil {
			return nil, err
		}
	}
	t.ctx, t.stop = context.WithCancel(context.Background())
	for i := range cfg.Cluster.Nodes {
		t.links = append(t.links, newLink(t, dsm.NodeID(i)))
	}
	t.links[cfg.Cluster.Self] = nil
	for _, l := range cfg.Listeners {
		t.tasks.Go(func() { t.accept(l) })
	}
	for _, l := range t.peers() {
		t.tasks.Go(func() { t.dial(l) })
	}
	t.tasks.Go(t.beats)
	return t, nil
}

// beats plans how often a node must be heard so that silence means that it is dead.
// One connection is one ordered queue: TCP sends a lost packet again after 200 ms at
// the least (Linux: TCP_RTO_MIN), and what is behind it waits.
func beats(silence time.Duration) (sampling.Plan, error) {
	return sampling.Goal{
		Deadline: silence, PM: 1e-9, Loss: 1e-2, RTT: 10 * time.Millisecond, Fetch: 10 * time.Millisecond, Stall: 200 * time.Millisecond,
	}.Plan()
}

func (t *Transport) now() time.Duration { return time.Since(t.start) }

func (t *Transport) peers() []*link {
	var all []*link
	for _, l := range t.links {
		if l != nil {
			all = append(all, l)
		}
	}
	return all
}

// Send takes a message for another node, and does not wait. A message to
// incarnation 0 is for the one that is connected, or gets connected first: whoever
// restarts waits for Ready before.
func (t *Transport) Send(m *dsm.Message) {
	l := t.links[m.To]
	if err := l.send(m); err != nil {
		go t.recv.Nonsense(m.To, err) // the caller may hold what it takes
	}
}

// Flush writes what Send was given, and asks for what Look was. Who calls it once must
// call it after each of these, when it has let go of its locks: from then on they only
// queue.
func (t *Transport) Flush() {
	if !t.flushed.Load() {
		t.flushed.Store(true)
	}
	for _, l := range t.links {
		if l == nil {
			continue
		}
		if l.looks.Swap(false) {
			if s, _ := l.shelf(); s != nil {
				s.ask()
			}
		}
		if l.queued.Load() {
			l.flush()
		}
	}
}

// Ready waits until there is a connection with each node.
func (t *Transport) Ready(ctx context.Context) error {
	for {
		missing, met := t.missing()
		if len(missing) == 0 {
			return nil
		}
		select {
		case <-met:
		case <-ctx.Done():
			return fmt.Errorf("no connection with %s: %w", strings.Join(missing, ", "), ctx.Err())
		case <-t.ctx.Done():
			return errClosed
		}
	}
}

// missing are those without a connection, each with why that is; met is closed when one of
// them has one.
func (t *Transport) missing() (names []string, met chan struct{}) {
	for _, l := range t.peers() {
		l.mu.Lock()
		if name := l.missing(); name != "" {
			names, met = append(names, name), l.met
		}
		l.mu.Unlock()
	}
	return names, met
}

// Missing says with whom there is no connection, and why the last attempt at one failed; ""
// if there are all.
func (t *Transport) Missing() string {
	names, _ := t.missing()
	return strings.Join(names, ", ")
}

// beats lets every peer hear something, and finds those that are silent.
func (t *Transport) beats() {
	tick := time.NewTicker(t.beat)
	defer tick.Stop()
	for {
		select {
		case <-t.ctx.Done():
			return
		case <-tick.C:
		}
		for _, l := range t.peers() {
			l.mu.Lock()
			l.pulse()
			l.mu.Unlock()
		}
	}
}

// pulse is one beat, unless more is on its way than the peer takes.
func (l *link) pulse() {
	c := l.conn
	switch {
	case c == nil:
	case c.raw.idle() > l.t.cfg.Silence:
		l.end(c, fmt.Errorf("%w: nothing for %v", ErrSilent, c.raw.idle().Round(time.Millisecond)))
	case c.busy:
		l.wanted = true
	case l.given < len(l.kept): // nobody has flushed it
		l.wanted = true
		l.ask(c)
	default:
		l.begin(c, l.beat(nil))
	}
}

// linger is how long Close waits for a peer that lives.
const linger = 5 * time.Second

// Close ends all links: after what was sent has been heard, where somebody hears.
func (t *Transport) Close() error {
	if t.closed.Swap(true) {
		return nil
	}
	var err error
	for _, l := range t.cfg.Listeners {
		if bad := l.Close(); !errors.Is(bad, net.ErrClosed) {
			err = errors.Join(err, bad)
		}
	}
	var leaving sync.WaitGroup
	for _, l := range t.peers() {
		leaving.Go(l.leave)
	}
	leaving.Wait()
	t.stop()
	t.tasks.Wait()
	if t.shelf != nil {
		err = errors.Join(err, t.shelf.Close())
	}
	return err
}

// leave says bye and waits for the peer to have heard all.
func (l *link) leave() {
	late := time.AfterFunc(linger, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.drop(errClosed)
	})
	defer late.Stop()
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.conn
	if c == nil {
		return
	}
	l.bye = "it is through"
	if !c.busy {
		l.ask(c)
	}
	for !c.ended { // by the peer, when it has read the bye
		l.to.Wait()
	}
}

// PeerStatus is how a link is.
type PeerStatus struct {
	Node          dsm.NodeID    `json:"node"`
	Incarnation   uint32        `json:"incarnation"` // 0: it was never there
	Up            bool          `json:"up"`
	Silent        time.Duration `json:"silent_ns"`
	Kept          int           `json:"kept"` // messages that it has not acknowledged
	KeptBytes     int           `json:"kept_bytes"`
	Sent          uint64        `json:"sent"`
	SentBytes     uint64        `json:"sent_bytes"`
	Received      uint64        `json:"received"`
	ReceivedBytes uint64        `json:"received_bytes"`
	Links         uint64        `json:"links"` // connections so far
}

// Peers returns how all links are.
func (t *Transport) Peers() []PeerStatus {
	var all []PeerStatus
	for _, l := range t.peers() {
		l.mu.Lock()
		s := PeerStatus{
			Node: l.peer, Incarnation: l.inc, Kept: len(l.kept), KeptBytes: l.bytes, Links: l.count.links,
			Sent: l.count.sent, SentBytes: l.count.sentBytes, Received: l.count.received, ReceivedBytes: l.count.receivedBytes,
		}
		if l.conn != nil {
			s.Up, s.Silent = true, l.conn.raw.idle()
		}
		l.mu.Unlock()
		all = append(all, s)
	}
	return all
}
