// SPDX-License-Identifier: Apache-2.0

package dsm

import (
	"fmt"
	"slices"
	"strings"
)

// Waiting says what the program waits for and of whom; "" if it does not.
func (n *Node) Waiting() string {
	switch {
	case n.failed != nil:
		return fmt.Sprintf("nothing: refused: %v", n.failed)
	case n.op == nil && n.fault == nil:
		return ""
	case n.rec != nil && !n.rec.ready:
		return n.waitingForLogs()
	case n.fault != nil:
		return n.waitingForPage()
	}
	return n.waitingForOp()
}

// lacking are the others that are not among those that have come.
func lacking[T any](n *Node, come map[NodeID]T) string {
	var names []string
	for _, i := range n.others() {
		if _, ok := come[i]; !ok {
			names = append(names, i.String())
		}
	}
	return strings.Join(names, ", ")
}

func (n *Node) waitingForLogs() string {
	if len(n.rec.acks) < n.cfg.Nodes-1 {
		return "its recovery: no word of " + lacking(n, n.rec.acks)
	}
	return "its recovery: the logs of " + lacking(n, n.rec.replies)
}

func (n *Node) waitingForPage() string {
	p := n.fault.Page
	pg := &n.pages[p]
	switch {
	case !pg.homed:
		return fmt.Sprintf("page %d: where its home is, of %v", p, n.directory(p))
	case n.rec != nil:
		return fmt.Sprintf("page %d: a copy of %v and all writers' diffs, to rebuild it", p, pg.home)
	case pg.home == n.cfg.Self:
		return fmt.Sprintf("page %d, homed here: diffs up to %v, there are %v", p, n.needs(pg), n.v)
	}
	return fmt.Sprintf("page %d of version %v, of its home %v", p, n.needs(pg), pg.home)
}

func (n *Node) waitingForOp() string {
	switch op := *n.op; op.Kind {
	case Acquire:
		return fmt.Sprintf("lock %d, asked for at its manager %v", op.ID, n.manager(op.ID))
	case Barrier:
		missing := slices.DeleteFunc(n.children(), func(c NodeID) bool { _, ok := n.bar.arrived[c]; return ok })
		if len(missing) > 0 {
			return fmt.Sprintf("barrier %d: those at or below %v", op.ID, missing)
		}
		return fmt.Sprintf("barrier %d: the word of %v", op.ID, n.parent())
	case CondSleep:
		return fmt.Sprintf("a signal of condition variable %d", op.ID)
	case Place:
		return fmt.Sprintf("the home of page %d, of %v", op.ID, n.directory(Page(op.ID)))
	default:
		return fmt.Sprintf("%v, of its manager %v", op, n.condManager(op.ID))
	}
}
