// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"lazystate/mtcp/cbox"
	"lazystate/mtcp/wire"
)

// certs are the certificates that clients have of sessions that came here: this
// server has not issued them, or has not accepted their sessions. They outlive the
// daemon in a file that changes are appended to, all those of a move at once.
type certs struct {
	path    string
	file    *os.File
	records int  // in the file
	torn    bool // a change may be there in part: what is appended now would be read askew
	crowd   crowd

	ids   map[wire.Certificate]cbox.ID
	shown map[cbox.ID]wire.Certificate
}

// certRecord is the length of one change: a session's ID and its certificate; all
// zero: it has none any more.
const certRecord = len(cbox.ID{}) + wire.CertLen

// certChange is one of them.
type certChange struct {
	id   cbox.ID
	cert wire.Certificate
}

// openCerts reads what earlier daemons have noted, and writes it anew: one that
// died while it wrote may have left half a record.
func openCerts(path string) (*certs, error) {
	c := &certs{path: path, crowd: crowd{least: mostCerts}, ids: map[wire.Certificate]cbox.ID{}, shown: map[cbox.ID]wire.Certificate{}}
	b, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("journal of moves: %w", err)
	}
	for ; len(b) >= certRecord; b = b[certRecord:] {
		c.apply(certChange{cbox.ID(b), wire.Certificate(b[len(cbox.ID{}):])})
	}
	return c, c.rewrite()
}

func (c *certs) apply(to certChange) {
	if old, ok := c.shown[to.id]; ok {
		delete(c.ids, old)
		delete(c.shown, to.id)
	}
	if to.cert == (wire.Certificate{}) {
		return
	}
	if other, ok := c.ids[to.cert]; ok {
		delete(c.shown, other)
	}
	c.ids[to.cert], c.shown[to.id] = to.id, to.cert
}

// note makes changes, of which those that change nothing are not written.
func (c *certs) note(changes ...certChange) error {
	var b []byte
	for _, to := range changes {
		if c.shown[to.id] == to.cert {
			continue
		}
		c.apply(to)
		b = append(append(b, to.id[:]...), to.cert[:]...)
	}
	c.records += len(b) / certRecord
	switch {
	case len(b) == 0:
		return nil
	case c.torn || c.records > 2*len(c.ids)+mostCerts:
		return c.rewrite()
	}
	if _, err := c.file.Write(b); err != nil {
		c.torn = true
		return fmt.Errorf("journal of moves: %w", err)
	}
	return nil
}

// rewrite leaves out what is over. Until the new file is in its place, the old one
// counts.
func (c *certs) rewrite() error {
	f, err := os.OpenFile(c.path+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("journal of moves: %w", err)
	}
	var b []byte
	for id, cert := range c.shown {
		b = append(append(b, id[:]...), cert[:]...)
	}
	if _, err = f.Write(b); err == nil {
		err = os.Rename(c.path+".new", c.path)
	}
	if err != nil {
		return fmt.Errorf("journal of moves: %w", errors.Join(err, f.Close()))
	}
	_ = c.close() // it has been replaced
	c.file, c.records, c.torn = f, len(c.shown), false
	return nil
}

func (c *certs) close() error {
	if c == nil || c.file == nil {
		return nil
	}
	return c.file.Close()
}
