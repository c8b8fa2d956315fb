// SPDX-License-Identifier: Apache-2.0

package salvage

import (
	"context"
	"net/netip"

	"lazystate/backdoor"
	"lazystate/backdoor/uapi"
	"lazystate/mtcp/cbox"
)

// State is what the root of a session exported last.
type State struct {
	Entry         int // in the target's directory
	Local, Remote netip.AddrPort
	ID            cbox.ID
	Name          string // of the service
	Data          []byte // nil: nothing was exported
	Read, Written bool   // something was, since that: hints, by the box's own words
	Err           error  // why it cannot be read
}

// States reads the last snapshots of all boxes of a target, which must be fenced, and
// leaves connections alone: for services whose requests are asked again elsewhere, as
// those of a middle tier are (§3.6.7). It takes as many batches for all boxes as for
// one. most is how large a box may be; 0: 16 MiB. All of them may be 1 GiB.
func States(ctx context.Context, t *backdoor.Target, most uint64) ([]State, error) {
	if most == 0 {
		most = mostBox
	}
	boxes, err := t.Boxes(ctx)
	if err != nil {
		return nil, err
	}
	all, memory := make([]State, len(boxes)), purse{most, mostBoxes}
	for i := range boxes {
		b := &boxes[i]
		if all[i] = (State{Entry: b.Entry, Local: b.Local, Remote: b.Remote, Err: b.Err}); b.Err == nil {
			all[i].Err = memory.spend(b)
		}
	}
	g := &gather{ctx: ctx, read: t.ReadEach}
	g.each(len(boxes), func(i int, read func([]backdoor.VARead) error) {
		if s := &all[i]; s.Err == nil {
			s.Err = s.read(&boxes[i], read)
		}
	})
	if g.failed != nil {
		return nil, g.failed
	}
	return all, t.Check(ctx)
}

func (s *State) read(b *backdoor.Box, read func([]backdoor.VARead) error) error {
	im, err := cbox.ReadImage(b.Len(), (&session{box: b}).fetch(read))
	if err != nil {
		return err
	}
	s.ID, s.Name = im.Head.ID(), uapi.CString(im.Head.ProcTable[0].Name[:])
	root := im.Root()
	s.Read, s.Written = im.Head.Read > root.LSR, im.Head.Written > root.LSW
	if snap := im.Snapshots[0]; snap != nil {
		s.Data = snap.Data
	}
	return nil
}
