// SPDX-License-Identifier: Apache-2.0

package client

import (
	"bytes"
	"encoding/gob"
	"errors"
	"fmt"
	"slices"

	"lazystate/backdoor/uapi"
	"lazystate/dsm/call"
)

// private is the private state that a program registered.
type private struct {
	names  []string
	values []any
	loaded image
	begun  bool // Run was called
}

// image is what of a process is in a checkpoint.
type image struct {
	Step  int // the next
	State map[string][]byte
}

func (im *image) decode(b []byte) error { return gob.NewDecoder(bytes.NewReader(b)).Decode(im) }

func (p *private) save(step int) ([]byte, error) {
	im := image{step, map[string][]byte{}}
	for i, name := range p.names {
		var b bytes.Buffer
		if err := gob.NewEncoder(&b).Encode(p.values[i]); err != nil {
			return nil, fmt.Errorf("private state %q: %w", name, err)
		}
		im.State[name] = b.Bytes()
	}
	var b bytes.Buffer
	err := gob.NewEncoder(&b).Encode(im)
	return b.Bytes(), err
}

// Private registers what value points to as private state: it is in each
// checkpoint, and a process that is restarted finds it here when Private returns.
// It is coded by encoding/gob, so fields that are to be there are exported.
func (n *Node) Private(name string, value any) {
	p := &n.state
	op := fmt.Sprintf("private state %q", name)
	switch {
	case p.begun:
		fail(op, errors.New("is registered before Run"))
	case slices.Contains(p.names, name):
		fail(op, errors.New("is registered twice"))
	}
	p.names, p.values = append(p.names, name), append(p.values, value)
	saved, ok := p.loaded.State[name]
	if n.image == nil {
		return
	}
	if !ok {
		fail(op, errors.New("is not in the checkpoint: another program wrote that"))
	}
	if err := gob.NewDecoder(bytes.NewReader(saved)).Decode(value); err != nil {
		fail(op, err)
	}
}

// Run calls step with 0, 1, ... until it returns false, or with what follows the
// checkpoint that this process was restarted from. A program has one Run, and no
// operation before it. Between steps checkpoints are taken, if the last thing
// that a step did with the DSM was an operation and it has no lock.
func (n *Node) Run(step func(k int) bool) {
	p := &n.state
	switch {
	case p.begun:
		fail("run", errors.New("a program has one: a restart would not know which to go on with"))
	case n.ops > 0:
		fail("run", errors.New("operations came before: a restart would repeat them"))
	case len(p.loaded.State) > len(p.names):
		fail("run", errors.New("the checkpoint has private state that the program did not register"))
	}
	p.begun = true
	for k := p.loaded.Step; ; k++ {
		before := n.ops
		if !step(k) {
			return
		}
		if n.ops > before {
			n.between(k + 1)
		}
	}
}

// Checkpoint asks for a checkpoint at the end of this step.
func (n *Node) Checkpoint() { n.due = true }

// between is the place between two steps.
func (n *Node) between(next int) {
	if !n.due {
		return
	}
	n.due = false
	if lock := slices.Index(n.held, true); lock >= 0 {
		fail("checkpoint", fmt.Errorf("lock %d is held at the end of step %d", lock, next-1))
	}
	im, err := n.state.save(next)
	if err == nil {
		err = n.engine.Checkpoint(im, false)
	}
	var lost *call.Error
	if errors.As(err, &lost) && lost.Cause == uapi.DsmLost {
		return // the one before is still there, and the daemon has told
	}
	if err != nil {
		fail("checkpoint", err)
	}
}
