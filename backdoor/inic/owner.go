// SPDX-License-Identifier: Apache-2.0

package inic

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"strings"
	"time"
	"unicode"

	"golang.org/x/sys/unix"

	"lazystate/backdoor"
)

// The writer's place is flock(LOCK_EX) on the BAR file, so a monitor that dies
// leaves it at once and no lease is needed. Beside the BAR lies the record of
// who held it last: it keeps epochs rising when no monitor is left to remember.
// It is written under the lock, and read by anybody.
const (
	ownerSuffix = ".owner"
	ownerMagic  = 0x31524e574f434e49 // "INCOWNR1"
	ownerSize   = 64

	ownerEpochOff   = 8
	ownerMonitorOff = 16
	ownerNameOff    = 20
	ownerNameLen    = 40
	ownerCRCOff     = 60 // IEEE, over what is before it
)

// ErrOwnerRecord is a record that no owner wrote. Nothing is taken on its
// ground: who removes the file says that epochs may begin anew.
var ErrOwnerRecord = errors.New("owner record is damaged")

func encodeOwner(o backdoor.Owner) []byte {
	b := make([]byte, ownerSize)
	binary.LittleEndian.PutUint64(b, ownerMagic)
	binary.LittleEndian.PutUint64(b[ownerEpochOff:], o.Epoch)
	binary.LittleEndian.PutUint32(b[ownerMonitorOff:], o.Monitor)
	copy(b[ownerNameOff:ownerNameOff+ownerNameLen], o.Name)
	binary.LittleEndian.PutUint32(b[ownerCRCOff:], crc32.ChecksumIEEE(b[:ownerCRCOff]))
	return b
}

// decodeOwner takes the bytes of a record; none are no owner.
func decodeOwner(b []byte) (backdoor.Owner, error) {
	if len(b) == 0 {
		return backdoor.Owner{}, nil
	}
	if len(b) != ownerSize || binary.LittleEndian.Uint64(b) != ownerMagic ||
		binary.LittleEndian.Uint32(b[ownerCRCOff:]) != crc32.ChecksumIEEE(b[:ownerCRCOff]) {
		return backdoor.Owner{}, ErrOwnerRecord
	}
	name := strings.TrimRight(string(b[ownerNameOff:ownerNameOff+ownerNameLen]), "\x00")
	if strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsGraphic(r) }) {
		return backdoor.Owner{}, ErrOwnerRecord
	}
	return backdoor.Owner{
		Epoch: binary.LittleEndian.Uint64(b[ownerEpochOff:]), Monitor: binary.LittleEndian.Uint32(b[ownerMonitorOff:]), Name: name,
	}, nil
}

// ownerTries bounds the reads of a record that is being written.
const ownerTries = 5

func (m *Memory) readOwner() (o backdoor.Owner, err error) {
	path := m.opts.BARPath + ownerSuffix
	for range ownerTries {
		var b []byte
		if b, err = readRecord(path); errors.Is(err, os.ErrNotExist) {
			return backdoor.Owner{}, nil
		} else if err != nil {
			return o, err
		}
		if o, err = decodeOwner(b); err == nil {
			return o, nil
		}
		time.Sleep(time.Millisecond)
	}
	return o, fmt.Errorf("%s: %w", path, err)
}

// readRecord never waits: a FIFO in the record's place is opened without a
// writer, and says nothing.
func readRecord(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, ownerSize+1))
}

func (m *Memory) writeOwner(bar *os.File, o backdoor.Owner) error {
	st, err := bar.Stat()
	if err != nil {
		return err
	}
	f, err := os.OpenFile(m.opts.BARPath+ownerSuffix, os.O_RDWR|os.O_CREATE|unix.O_NONBLOCK|unix.O_CLOEXEC, st.Mode().Perm())
	if err != nil {
		return err
	}
	_, err = f.WriteAt(encodeOwner(o), 0)
	return errors.Join(err, f.Close())
}

// Owner implements backdoor.WritersPlace.
func (m *Memory) Owner(ctx context.Context) (backdoor.OwnerView, error) {
	if err := ctx.Err(); err != nil {
		return backdoor.OwnerView{}, err
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.closed {
		return backdoor.OwnerView{}, backdoor.ErrClosed
	}
	o, err := m.readOwner()
	if err != nil {
		return backdoor.OwnerView{}, err
	}
	held := m.writable
	if !held {
		held, err = flocked(m.opts.BARPath)
	}
	return backdoor.OwnerView{Owner: o, Held: held}, err
}

// flocked asks the kernel's list of locks, because asking by a lock of our own
// would now and then be in the way of who takes the place at that moment. A
// holder in another PID namespace is not in the list; it is found by Own.
func flocked(path string) (bool, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return false, err
	}
	b, err := os.ReadFile("/proc/locks")
	if err != nil {
		return false, err
	}
	id := fmt.Sprintf(" %02x:%02x:%d ", unix.Major(st.Dev), unix.Minor(st.Dev), st.Ino)
	for line := range strings.Lines(string(b)) {
		if strings.Contains(line, "FLOCK") && strings.Contains(line, "WRITE") && strings.Contains(line, id) && !strings.Contains(line, "->") {
			return true, nil
		}
	}
	return false, nil
}

// Own implements backdoor.WritersPlace. The lock has no lease: it ends with
// the process, at the latest.
func (m *Memory) Own(ctx context.Context, o backdoor.Owner, _ time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if len(o.Name) > ownerNameLen {
		return fmt.Errorf("own target: name %q: at most %d bytes", o.Name, ownerNameLen)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return backdoor.ErrClosed
	}
	if m.writable && m.owner == o {
		return nil
	}
	if err := m.own(o); err != nil {
		return fmt.Errorf("own target %s: %w", m.opts.RAMPath, err)
	}
	return nil
}

func (m *Memory) own(o backdoor.Owner) error {
	if m.writable { // by another epoch of this side's
		return m.enter(m.bar.file, o)
	}
	bar, ram, err := m.mapWritable(o)
	if err != nil {
		return err
	}
	old := []*mapping{m.bar, m.ram}
	m.bar, m.ram, m.writable, m.owner = bar, ram, true, o
	m.remember() // before it, others wrote
	return errors.Join(old[0].close(), old[1].close())
}

// mapWritable takes the lock, enters o if it names an epoch, and maps the files.
func (m *Memory) mapWritable(o backdoor.Owner) (bar, ram *mapping, err error) {
	if bar, err = mapFile(m.opts.BARPath, true); err != nil {
		return nil, nil, err
	}
	if err = unix.Flock(int(bar.file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		last, _ := m.readOwner()
		err = fmt.Errorf("lock %s: %w", m.opts.BARPath, &backdoor.OwnedError{By: backdoor.OwnerView{Owner: last, Held: true}})
	}
	if err == nil && m.bar != nil && !sameFile(m.bar.file, bar.file) {
		err = fmt.Errorf("its files were replaced: %w", backdoor.ErrGone)
	}
	if err == nil && o.Epoch > 0 {
		err = m.enter(bar.file, o)
	}
	if err == nil {
		ram, err = mapFile(m.opts.RAMPath, true)
	}
	if err != nil {
		return nil, nil, errors.Join(err, bar.close())
	}
	return bar, ram, nil
}

func sameFile(a, b *os.File) bool {
	sa, errA := a.Stat()
	sb, errB := b.Stat()
	return errA == nil && errB == nil && os.SameFile(sa, sb)
}

// enter writes the record, if o may follow the last owner. The lock is held.
func (m *Memory) enter(bar *os.File, o backdoor.Owner) error {
	last, err := m.readOwner()
	if err != nil {
		return err
	}
	if !o.Succeeds(last) {
		return &backdoor.StaleOwnerError{Claim: o, Last: last}
	}
	if err := m.writeOwner(bar, o); err != nil {
		return err
	}
	m.owner = o
	return nil
}

// Disown implements backdoor.WritersPlace: the mappings become read-only before
// the lock is free.
func (m *Memory) Disown(context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed || !m.writable {
		return nil
	}
	m.writable, m.owner = false, backdoor.Owner{}
	err := errors.Join(unix.Mprotect(m.ram.data, unix.PROT_READ), unix.Mprotect(m.bar.data, unix.PROT_READ))
	return errors.Join(err, unix.Flock(int(m.bar.file.Fd()), unix.LOCK_UN))
}
