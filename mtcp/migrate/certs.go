// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"lazystate/mtcp/cbox"
	"lazystate/mtcp/wire"
)

// certs are the certificates that clients have of sessions that came here: this
// server has not issued them, or has not accepted their sessions. They outlive the
// daemon.
type certs struct {
	records
	crowd crowd

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

// openCerts reads what earlier daemons have noted, and writes it anew.
func openCerts(path string) (*certs, error) {
	c := &certs{crowd: crowd{least: mostCerts}, ids: map[wire.Certificate]cbox.ID{}, shown: map[cbox.ID]wire.Certificate{}}
	var err error
	c.records, err = openRecords(path, certRecord, func(b []byte) {
		c.apply(certChange{cbox.ID(b[:len(cbox.ID{})]), wire.Certificate(b[len(cbox.ID{}):])})
	})
	if err == nil {
		err = c.rewrite(c.all())
	}
	return c, err
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
	switch {
	case len(b) == 0:
		return nil
	case c.grown(len(b), 2*len(c.ids)+mostCerts):
		return c.rewrite(c.all())
	}
	return c.add(b)
}

// all are the changes that lead from nothing to what counts.
func (c *certs) all() []byte {
	var b []byte
	for id, cert := range c.shown {
		b = append(append(b, id[:]...), cert[:]...)
	}
	return b
}

func (c *certs) close() error {
	if c == nil {
		return nil
	}
	return c.records.close()
}
