// SPDX-License-Identifier: Apache-2.0

// Package landing makes a session live at this server that was at another: its
// box is planted, its socket restored, and a keeper gives both to a process
// (§2.5.3, §3.6.5 steps 3 to 7). Where the facts come from is not its business:
// mtcp/migrate has them from a server that lives, mtcp/salvage from the memory of
// one that does not.
//
// Plan decides what moves (mtcp.Place, mtcp.Cut) and touches nothing. Plant makes
// the box, Restore a socket that neither hears nor speaks, Reserve the room with a
// keeper; Live lets all of it go. Until then Drop undoes everything in silence.
//
// The trap: after Live has begun there is no way back. What fails then ends by a
// reset, never by a FIN, which would tell the client that this was all.
//
//	s, err := landing.Plan(facts, mtcp.Whole)
//	if err := s.Plant(); err != nil {
//		return err
//	}
//	err = s.Restore(stack, facts.Client.Known)
//	err = s.Reserve(keeper, uid)
//	if err != nil {
//		return errors.Join(err, s.Drop())
//	}
//	err = s.Live(nil, nil)
package landing
