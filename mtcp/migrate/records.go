// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// records is a file that outlives the daemon, to which changes of one length are
// appended, all those of a moment at once. What is over is left out when it is written
// anew.
type records struct {
	path   string
	length int // of one
	file   *os.File
	n      int  // in the file
	torn   bool // a change may be there in part, or not at all: what is appended now would be read askew
}

// openRecords calls f with each that earlier daemons have noted; one that died while it
// wrote may have left half of one. rewrite comes before anything is added.
func openRecords(path string, length int, f func(b []byte)) (records, error) {
	b, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return records{}, fmt.Errorf("journal of moves: %w", err)
	}
	for ; len(b) >= length; b = b[length:] {
		f(b[:length])
	}
	return records{path: path, length: length}, nil
}

// grown reports whether with more bytes the file holds more than so many, or has to be
// written anew for another reason.
func (r *records) grown(more, most int) bool { return r.torn || r.n+more/r.length > most }

// add appends whole ones.
func (r *records) add(b []byte) error {
	r.n += len(b) / r.length
	if _, err := r.file.Write(b); err != nil {
		r.torn = true
		return fmt.Errorf("journal of moves: %w", err)
	}
	return nil
}

// rewrite has the file hold these, and no others. Until the new file is in its place,
// the old one counts.
func (r *records) rewrite(all []byte) error {
	f, err := r.replace(all)
	if err != nil {
		r.torn = true // these are not there yet
		return fmt.Errorf("journal of moves: %w", err)
	}
	_ = r.close() // it has been replaced
	r.file, r.n, r.torn = f, len(all)/r.length, false
	return nil
}

func (r *records) replace(all []byte) (*os.File, error) {
	f, err := os.OpenFile(r.path+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	if _, err = f.Write(all); err == nil {
		err = os.Rename(r.path+".new", r.path)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func (r *records) close() error {
	if r.file == nil {
		return nil
	}
	return r.file.Close()
}
