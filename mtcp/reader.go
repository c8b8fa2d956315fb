// SPDX-License-Identifier: Apache-2.0

package mtcp

// Reader is the reading end of a stream in a process. What the process has read
// since its last snapshot stays in the log, because a replay reads it again.
type Reader struct {
	LSR  uint64 // first byte read after the last snapshot: the log begins here
	Pos  uint64 // next byte the application reads
	End  uint64 // the log ends here; what follows is still in the channel
	Size uint64 // most bytes the log can hold
}

// NewReader begins at a snapshot, behind which the log has bytes up to end.
func NewReader(lsr, end, size uint64) (Reader, error) {
	if err := inOrder("reader's snapshot", lsr, end); err != nil {
		return Reader{}, err
	}
	if err := inOrder("length of the log", end-lsr, size); err != nil {
		return Reader{}, err
	}
	return Reader{LSR: lsr, Pos: lsr, End: end, Size: size}, nil
}

// Logged returns which bytes of the log a read of n bytes is given: none
// unless the process repeats what it did before.
func (r Reader) Logged(n uint64) Span { return Span{r.Pos, min(r.End, r.Pos+n)} }

// Room returns how many bytes the log can take from the channel.
func (r Reader) Room() uint64 { return r.Size - (r.End - r.LSR) }

// Full reports that the application has read all of a full log: only a
// snapshot of its own lets it go on.
func (r Reader) Full() bool { return r.Pos == r.End && r.Room() == 0 }

// Crowded reports that the writer waits for room which a snapshot would make.
// Who is about to wait for that same process must export instead, for they
// would wait for each other; in a tree no longer circles exist.
func (r Reader) Crowded() bool { return r.Room() == 0 && r.Pos > r.LSR }

// Fetch takes n bytes from the channel into the log.
func (r *Reader) Fetch(n uint64) { r.End += n }

// Read passes over n bytes of the log.
func (r *Reader) Read(n uint64) { r.Pos += n }

// Export is a snapshot taken here: what was read before is never read again.
// It returns what falls out of the log.
func (r *Reader) Export() Span {
	gone := Span{r.LSR, r.Pos}
	r.LSR = r.Pos
	return gone
}
