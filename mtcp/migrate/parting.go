// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"strings"

	"lazystate/mtcp/cbox"
	"lazystate/mtcp/party"
	"lazystate/mtcp/steer"
	"lazystate/mtcp/wire"
)

// parting is what is noted of sessions before another server may serve them: a
// daemon that is started anew asks that one what has become of them.
type parting struct {
	Peer     string     `json:"peer"`
	Lead     party.Lead `json:"lead"`
	Address  string     `json:"address,omitempty"` // prefix that goes with them
	Sessions []string   `json:"sessions"`          // hexadecimal
	Outcome  string     `json:"outcome,omitempty"` // "": in doubt

	Flow steer.Flow     `json:"flow,omitzero"`
	To   netip.AddrPort `json:"to,omitzero"` // S2's end of one that moves alone

	// By these a client's word that it stays is known.
	Cert    wire.Certificate `json:"cert,omitzero"`
	Attempt uint8            `json:"attempt,omitempty"`
}

// The outcomes there are.
const (
	itStays = "stays"
	itLeft  = "left"
)

const partingPrefix = "leaving-"

func hexOf(id cbox.ID) string { return hex.EncodeToString(id[:]) }

// part notes a parting, or what became of it.
func (j journal) part(id ID, p *parting) error {
	if err := j.draft(id, p); err != nil {
		return err
	}
	return j.sign(id)
}

// draft writes a parting that does not count before it is signed.
func (j journal) draft(id ID, p *parting) error {
	text, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("journal of moves: %w", err)
	}
	if err := os.WriteFile(j.path(partingName(id)+drafted), text, 0o600); err != nil {
		return fmt.Errorf("journal of moves: %w", err)
	}
	return nil
}

func (j journal) sign(id ID) error { return j.rename(partingName(id)+drafted, partingName(id)) }

const drafted = ".new"

func partingName(id ID) string { return partingPrefix + hex.EncodeToString(id[:]) }

// parted forgets it, and drafts; one that is not there is no error.
func (j journal) parted(id ID) error {
	var err error
	for _, name := range []string{partingName(id), partingName(id) + drafted} {
		if e := j.remove(name); !errors.Is(e, fs.ErrNotExist) {
			err = errors.Join(err, e)
		}
	}
	return err
}

// partings reads what earlier daemons have noted.
func (j journal) partings() (map[ID]*parting, error) {
	all := map[ID]*parting{}
	err := j.each(partingPrefix, func(name string) error {
		raw, err := hex.DecodeString(name)
		if err != nil || len(raw) != len(ID{}) {
			return nil // one that was being written
		}
		text, err := os.ReadFile(j.path(partingPrefix + name))
		if err != nil {
			return err
		}
		p := new(parting)
		if err := json.Unmarshal(text, p); err != nil {
			return fmt.Errorf("%s%s: %w", partingPrefix, name, err)
		}
		all[ID(raw)] = p
		return nil
	})
	return all, err
}

// each calls f with the rest of each name that begins so.
func (j journal) each(prefix string, f func(rest string) error) error {
	entries, err := os.ReadDir(string(j))
	if err != nil {
		return fmt.Errorf("journal of moves: %w", err)
	}
	for _, e := range entries {
		if rest, ok := strings.CutPrefix(e.Name(), prefix); ok {
			if err := f(rest); err != nil {
				return fmt.Errorf("journal of moves: %w", err)
			}
		}
	}
	return nil
}
