// SPDX-License-Identifier: Apache-2.0

package argo

import (
	"flag"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"

	"lazystate/bench/result"
)

// Peer is a command that runs a program on ArgoDSM over one transport. It is a flag's
// value.
type Peer struct {
	Transport string // as the bench names ours
	words     []string
	version   string // what its last run said
}

// Set takes a command, whose words have spaces between them.
func (p *Peer) Set(command string) error {
	if strings.ContainsAny(command, `'"\`+"\n") {
		return fmt.Errorf("%q: a command is words with spaces between them, and no shell reads it", command)
	}
	p.words = strings.Fields(command)
	return nil
}

// String is the command as a figure has it: where its programs lie is this machine's
// affair.
func (p *Peer) String() string {
	var words []string
	for _, w := range p.words {
		if filepath.IsAbs(w) {
			w = filepath.Base(w)
		}
		words = append(words, w)
	}
	return "'" + strings.Join(words, " ") + "'"
}

// Peers are those of a bench: one for each of our transports.
type Peers struct{ Shared, TCP Peer }

// NewPeers have no command yet.
func NewPeers() Peers { return Peers{Peer{Transport: "shared memory"}, Peer{Transport: "TCP"}} }

// flags of Peers begin like this.
const flags = "argo-"

// Flags declares a command for each transport.
func (p *Peers) Flags(fs *flag.FlagSet) {
	fs.Var(&p.Shared, flags+"shm", "`COMMAND` that runs our program on ArgoDSM over shared memory, see bench/argo")
	fs.Var(&p.TCP, flags+"tcp", "`COMMAND` that runs our program on ArgoDSM over TCP")
}

func (p *Peers) all() []*Peer { return []*Peer{&p.Shared, &p.TCP} }

// There are those whose command was given.
func (p *Peers) There() (there []*Peer) {
	for _, q := range p.all() {
		if len(q.words) > 0 {
			there = append(there, q)
		}
	}
	return there
}

// Note says in a figure which ArgoDSM it was, or that there was none.
func (p *Peers) Note(fig *result.Figure) {
	for _, q := range p.all() {
		if len(q.words) == 0 {
			fig.Notef("ArgoDSM over %s was not there: it is built by hand, see bench/argo", q.Transport)
			continue
		}
		fig.Notef("ArgoDSM over %s: %s, by %v, in turn with ours", q.Transport, q.version, q)
	}
}

var inCommand = regexp.MustCompile(` --` + flags + `[a-z]+='[^']*'`)

// Without is a figure's command but for its peers, which add to what is measured.
func Without(command string) string { return inCommand.ReplaceAllString(command, "") }
