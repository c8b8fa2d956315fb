// SPDX-License-Identifier: Apache-2.0

package mtcp

import "fmt"

// Root is the parent of the root process: it accepts the client's connection.
const Root = -1

// Service is the process service set of a session (§2.4.1): each process's
// parent. Process 0 is the root.
type Service []int

// Order returns the processes in the total order of their states in a service
// continuation: the tree in preorder, children in the order in which they
// joined (§2.4.2, footnote 1). Any shape will do, but it must be one tree.
func (s Service) Order() ([]int, error) {
	children := make([][]int, len(s))
	for i, p := range s {
		switch {
		case i == 0 && p != Root, i > 0 && (p < 0 || p >= len(s)):
			return nil, &InconsistentError{fmt.Sprintf("parent of process %d", i), fmt.Sprint(p), "a process of the service"}
		case i > 0:
			children[p] = append(children[p], i)
		}
	}
	order := make([]int, 0, len(s))
	for stack := []int{0}; len(stack) > 0 && len(s) > 0; {
		i := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		order = append(order, i)
		for c := len(children[i]) - 1; c >= 0; c-- {
			stack = append(stack, children[i][c])
		}
	}
	if len(order) != len(s) {
		return nil, &InconsistentError{"processes below the root", fmt.Sprint(len(order)), fmt.Sprintf("%d: the rest is a circle", len(s))}
	}
	return order, nil
}
