// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"os/exec"
	"strings"
	"sync"
)

// unreachable is ssh's exit if it does not reach the host, or not any more.
const unreachable = 255

// hosts are where nodes are; none is here.
type hosts struct {
	names  []string
	ssh    []string
	listen bool // the nodes' addresses were not given
	mu     sync.Mutex
	moved  map[int]int // by node: hosts that were left
}

// of is a node's host now, "" for this one.
func (h *hosts) of(node int) string {
	if len(h.names) == 0 {
		return ""
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.names[(node+h.moved[node])%len(h.names)]
}

// place is how many nodes were on a node's first host before it.
func (h *hosts) place(node int) int { return node / max(1, len(h.names)) }

// leave has a node go to the next host.
func (h *hosts) leave(node int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.moved == nil {
		h.moved = map[int]int{}
	}
	h.moved[node]++
}

// command runs args on a node's host. What runs elsewhere ends with its input.
func (h *hosts) command(node int, dsmd string, args, program []string) (*exec.Cmd, error) {
	host := h.of(node)
	if host == "" && h.listen { // others may be elsewhere: a launcher has placed this one
		args = append(args, "--listen=:0")
	}
	if host == "" {
		return exec.Command(dsmd, append(append(args, "--"), program...)...), nil
	}
	dir, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	args = append(args, "--until-eof")
	if h.listen {
		name := host
		if _, after, ok := strings.Cut(host, "@"); ok { // user@host
			name = after
		}
		args = append(args, "--listen=:0", "--name="+name)
	}
	words := append([]string{dsmd}, append(append(args, "--"), program...)...)
	for i, w := range words {
		words[i] = quoted(w)
	}
	line := "cd " + quoted(dir) + " && exec " + strings.Join(words, " ")
	return exec.Command(h.ssh[0], append(h.ssh[1:len(h.ssh):len(h.ssh)], host, line)...), nil
}

// quoted is a word for a shell.
func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
