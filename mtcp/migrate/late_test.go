// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"errors"
	"log/slog"
	"net"
	"testing"

	"lazystate/mtcp/party"
)

// over is a machine that ends with whatever it hears.
type over struct{}

func (over) Step(party.Event) []party.Effect { return []party.Effect{{Do: party.End}} }

// However much is told to a move that has ended, nobody has to wait for it to
// listen.
func TestToldTooLate(t *testing.T) {
	r := newRunner(over{}, nil, func(string) {})
	r.tell(t.Context(), party.Event{Kind: party.Start})
	r.run(t.Context())
	for range 2 * cap(r.in) {
		r.tell(t.Context(), party.Event{Kind: party.Request})
	}
}

// Whoever reads the segments of all does not wait for a move that is busy, however
// often a client says something.
func TestMentionedTooOften(t *testing.T) {
	r := newRunner(over{}, nil, func(string) {})
	for range 2 * cap(r.in) {
		r.mention(party.Event{Kind: party.Request})
	}
	if len(r.in) != cap(r.in) {
		t.Errorf("%d of %d are kept", len(r.in), cap(r.in))
	}
}

func lone(t testing.TB) *Mover {
	quiet := slog.New(slog.DiscardHandler)
	return &Mover{log: quiet, mesh: newMesh(Config{}, quiet), journal: journal(t.TempDir()), moves: map[ID]move{}, ctx: t.Context()}
}

// A state request that cannot be sent is a connection that is lost: nobody else
// may say so to a move that began when it had been told.
func TestAskingNobody(t *testing.T) {
	m := lone(t)
	v := &takenMove{inbox: inbox{m: m}, runner: newRunner(over{}, nil, nil), link: link{"s1", true}}
	if err := v.send(party.Effect{Do: party.Send, Msg: party.Ask}); !errors.Is(err, errNotLinked) {
		t.Errorf("%v", err)
	}
	m.tasks.Wait()
	select {
	case e := <-v.in:
		if e.Kind != party.Lost {
			t.Errorf("it is told %s", e.Kind)
		}
	default:
		t.Error("it is told nothing")
	}
}

// A state reply for a request that S2 has given up, or that an earlier daemon
// made, is answered: else S1 would keep the session frozen.
func TestStateForNobody(t *testing.T) {
	m, l, id := lone(t), link{"s1", true}, newID()
	here, there := net.Pipe()
	defer there.Close()
	m.mesh.conns[l] = &speaker{c: here}
	m.tasks.Go(func() {
		defer here.Close()
		m.heard(l, frame{kind: kindOf(party.State), id: id})
	})
	f, err := readFrame(there, 1000)
	if err != nil || f.id != id || between[f.kind] != party.Never {
		t.Errorf("%v, %v", f, err)
	}
	m.tasks.Wait()
}
