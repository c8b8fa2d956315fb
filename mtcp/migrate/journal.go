// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"lazystate/mtcp/wire"
)

// journal outlives the daemon: it notes which moves were let live here, before
// they are, and which sessions are given away, before they are. It lies in memory (/run): a machine that boots has no sockets, so
// that nothing lives there is then right.
type journal string

func (j journal) open() error {
	if err := os.MkdirAll(string(j), 0o700); err != nil {
		return fmt.Errorf("journal of moves: %w", err)
	}
	return nil
}

func (j journal) path(name string) string { return filepath.Join(string(j), name) }

func (j journal) write(name string) error {
	if err := os.WriteFile(j.path(name), nil, 0o600); err != nil {
		return fmt.Errorf("journal of moves: %w", err)
	}
	return nil
}

func (j journal) remove(name string) error {
	if err := os.Remove(j.path(name)); err != nil {
		return fmt.Errorf("journal of moves: %w", err)
	}
	return nil
}

func (j journal) rename(from, to string) error {
	if err := os.Rename(j.path(from), j.path(to)); err != nil {
		return fmt.Errorf("journal of moves: %w", err)
	}
	return nil
}

func (j journal) note(id ID) error { return j.write(hex.EncodeToString(id[:])) }

// strike takes a note back: nothing of the move lives, or will.
func (j journal) strike(id ID) error { return j.remove(hex.EncodeToString(id[:])) }

func (j journal) noted(id ID) bool {
	_, err := os.Stat(j.path(hex.EncodeToString(id[:])))
	return err == nil
}

// An address that is arriving is noted as well: a daemon that dies over it leaves
// it on an interface, where it is nobody's.
const arrivingPrefix = "arriving-"

func (j journal) arriving(addr netip.Addr) error { return j.write(arrivingPrefix + addr.String()) }

func (j journal) arrived(addr netip.Addr) error { return j.remove(arrivingPrefix + addr.String()) }

// settled has the note of an address that arrives become that of the move which
// lives here now: there is no time at which both are, or neither.
func (j journal) settled(addr netip.Addr, id ID) error {
	return j.rename(arrivingPrefix+addr.String(), hex.EncodeToString(id[:]))
}

// unsettled takes that back.
func (j journal) unsettled(addr netip.Addr, id ID) error {
	return j.rename(hex.EncodeToString(id[:]), arrivingPrefix+addr.String())
}

// stranded lists the addresses whose daemon died while they were arriving.
func (j journal) stranded() (all []netip.Addr, err error) {
	err = j.each(arrivingPrefix, func(text string) error {
		if a, err := netip.ParseAddr(text); err == nil {
			all = append(all, a)
		}
		return nil
	})
	return all, err
}

// certsName is the file of certificates, departuresName that of sessions that have left
// and may be asked for.
const (
	certsName      = "certs"
	departuresName = "departures"
)

// keyName is this server's key of certificates: sessions outlive its daemon.
const keyName = "key"

func (j journal) key() (k wire.Key, err error) {
	path := j.path(keyName)
	b, err := os.ReadFile(path)
	switch {
	case err == nil && len(b) == len(k):
		return wire.Key(b), nil
	case err != nil && !errors.Is(err, fs.ErrNotExist): // it is there, and clients have its certificates
		return k, fmt.Errorf("journal of moves: %w", err)
	}
	rand.Read(k[:]) // never fails
	if err := os.WriteFile(path, k[:], 0o600); err != nil {
		return k, fmt.Errorf("journal of moves: %w", err)
	}
	return k, nil
}

// age is for how long a note has been as it is.
func (j journal) age(name string) (time.Duration, error) {
	info, err := os.Stat(j.path(name))
	if err != nil {
		return 0, fmt.Errorf("journal of moves: %w", err)
	}
	return time.Since(info.ModTime()), nil
}

// prune forgets notes that nobody asks for any more. The socket of an escrow's holder
// may lie beside them: that is older than the daemon, and nobody would find it again.
func (j journal) prune(age time.Duration) error {
	entries, err := os.ReadDir(string(j))
	if err != nil {
		return fmt.Errorf("journal of moves: %w", err)
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() && ages(e.Name()) && time.Since(info.ModTime()) > age && !j.doubtful(e.Name()) {
			_ = os.Remove(j.path(e.Name())) // the next time, then
		}
	}
	return nil
}

// doubtful is a note of sessions that are frozen here, and may live elsewhere.
func (j journal) doubtful(name string) bool {
	if !strings.HasPrefix(name, partingPrefix) || strings.HasSuffix(name, drafted) {
		return false
	}
	p := new(parting)
	text, err := os.ReadFile(j.path(name))
	return err == nil && json.Unmarshal(text, p) == nil && p.Outcome == ""
}

func ages(name string) bool {
	return name != keyName && name != certsName && name != departuresName && !strings.HasPrefix(name, arrivingPrefix)
}
