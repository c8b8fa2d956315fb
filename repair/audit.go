// SPDX-License-Identifier: Apache-2.0

package repair

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// Record is one line of the audit log.
type Record struct {
	Time     time.Time `json:"time"`
	Target   string    `json:"target"`
	Boot     string    `json:"boot"`
	Incident string    `json:"incident"`
	Healer   string    `json:"healer,omitempty"`
	Step     string    `json:"step"`    // event, plan, freeze, kill, result, thaw, verify, abort, ...
	Decided  bool      `json:"decided"` // this line was on disk before what it says was done
	Data     any       `json:"data,omitempty"`
	Error    string    `json:"error,omitempty"`
}

// Audit is an append-only log of JSON lines: every decision with its evidence.
// What cannot be logged must not be done, so Append's error stops a repair.
type Audit struct {
	path string // "" if there is no file

	mu  sync.Mutex
	w   io.Writer
	err error
}

// syncer is what makes a line durable; *os.File has it.
type syncer interface{ Sync() error }

// OpenAudit opens or creates a log. Lines are only ever added (O_APPEND); the
// file is for its owner and group alone.
func OpenAudit(path string) (*Audit, error) {
	f, err := openLog(path)
	if err != nil {
		return nil, err
	}
	return &Audit{path: path, w: f}, nil
}

// Path is the log's file, "" if it has none.
func (a *Audit) Path() string { return a.path }

// Reopen goes on in the file that has the log's name now: after it has been
// renamed by who rotates logs. If that fails the log stays where it is.
func (a *Audit) Reopen() error {
	if a.path == "" {
		return nil
	}
	f, err := openLog(a.path)
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	old := a.w
	a.w = f
	return old.(io.Closer).Close()
}

func openLog(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o640)
	if err != nil {
		return nil, fmt.Errorf("open audit log: %w", err)
	}
	if err := errors.Join(endTornLine(path, f), syncName(path, f)); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// syncName makes a file's name durable: a decision on disk is worth nothing in a
// file that no folder names after a power loss. What is no file has no such name.
func syncName(path string, f *os.File) error {
	st, err := f.Stat()
	if err != nil || !st.Mode().IsRegular() {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("open audit log: %w", err)
	}
	err = dir.Sync()
	if errors.Is(err, syscall.EINVAL) { // a file system that has no such thing
		err = nil
	}
	return errors.Join(err, dir.Close())
}

// NewAudit logs to a writer of the caller's.
func NewAudit(w io.Writer) *Audit { return &Audit{w: w} }

// endTornLine keeps what a monitor that died in the middle of a line left
// behind from swallowing the next one.
func endTornLine(path string, f *os.File) error {
	st, err := f.Stat()
	if err != nil || st.Size() == 0 || !st.Mode().IsRegular() {
		return err
	}
	r, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("open audit log: %w", err)
	}
	defer r.Close()
	last := make([]byte, 1)
	if _, err := r.ReadAt(last, st.Size()-1); err != nil || last[0] == '\n' {
		return err
	}
	_, err = f.Write([]byte("\n"))
	return err
}

// Append adds a line. A decided record is durable when Append returns nil.
// After a failed write the log is closed to repairs until one succeeds.
func (a *Audit) Append(r Record) error {
	line, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("audit %s: %w", r.Step, err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.err = a.write(append(line, '\n'), r.Decided)
	if a.err != nil {
		return fmt.Errorf("audit %s: %w", r.Step, a.err)
	}
	return nil
}

func (a *Audit) write(line []byte, durable bool) error {
	if a.err != nil { // a torn line may stand at the end
		line = append([]byte("\n"), line...)
	}
	if n, err := a.w.Write(line); err != nil {
		return err
	} else if n != len(line) {
		return io.ErrShortWrite
	}
	if s, ok := a.w.(syncer); ok && durable {
		return s.Sync()
	}
	return nil
}

// Err returns the error of the last Append, nil if it went well.
func (a *Audit) Err() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.err
}

// Close closes the log's file.
func (a *Audit) Close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if c, ok := a.w.(io.Closer); ok {
		return c.Close()
	}
	return nil
}
