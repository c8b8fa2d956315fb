// SPDX-License-Identifier: Apache-2.0

package cbox

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lazystate/backdoor/uapi"
	"lazystate/mtcp"
)

// used is the bytes of a box in which something of everything has happened.
func used(t testing.TB) []byte {
	t.Helper()
	b, _ := usedBy(t)
	return b
}

// usedBy returns its connection, too.
func usedBy(t testing.TB) ([]byte, *net.TCPConn) {
	t.Helper()
	client, root, child, up, down := pair(t, Config{Snapshot: 256, Log: 256, Hold: 64, Ring: 256})
	send(t, client, "0123456789")
	get(t, root, "0123")
	send(t, down, "abcdef")
	export(t, root, "root")
	get(t, root, "45")
	get(t, up, "abc")
	export(t, child, "child")
	send(t, up, "xyz")
	if err := root.SetNoDelay(true); err != nil {
		t.Fatal(err)
	}
	if err := root.ExportNDI([]byte("drawing")); err != nil {
		t.Fatal(err)
	}
	send(t, root, "held")
	return bytes.Clone(root.m), root.tcp
}

// remote reads a copy as it would read a dead machine.
func remote(b []byte) Fetch {
	return func(exts []Extent) error {
		for _, e := range exts {
			if e.Off > uint64(len(b)) || uint64(len(e.Buf)) > uint64(len(b))-e.Off {
				return errors.New("outside the box")
			}
			copy(e.Buf, b[e.Off:])
		}
		return nil
	}
}

// whole reads all of a box, as if the socket had got as far as the hints say.
func whole(b []byte) (*Image, error) {
	im, err := ReadImage(uint64(len(b)), remote(b))
	if err != nil {
		return nil, err
	}
	root, h := im.Root(), im.Head
	cut, err := mtcp.Cut(root, mtcp.Up{Read: h.Read, Ack: h.Read, Next: h.Read}, mtcp.Down{Una: h.Written, Nxt: h.Written, Written: h.Written}, mtcp.Client{}, mtcp.Whole)
	if err != nil {
		return nil, err
	}
	return im, im.Fill(remote(b), cut, mtcp.Whole)
}

// Every single byte of head and snapshots, damaged in two ways: it is noticed,
// or does no harm.
func TestDamageIsNoticed(t *testing.T) {
	sound := used(t)
	im, err := whole(sound)
	if err != nil {
		t.Fatal(err)
	}
	noticed := 0
	for i := range int(im.Head.HeadLen) {
		for _, mask := range []byte{0x01, 0xff} {
			b := bytes.Clone(sound)
			b[i] ^= mask
			if got, err := whole(b); err != nil {
				noticed++
			} else {
				plantable(t, got)
			}
		}
	}
	// What is written once has a checksum, and so has each snapshot.
	for i := range uapi.CboxHeadCRCOff + 4 {
		b := bytes.Clone(sound)
		b[i] ^= 0x10
		if _, err := whole(b); err == nil {
			t.Errorf("damage to byte %d of the head passes", i)
		}
	}
	p := im.Head.ProcTable[0]
	s := im.Snapshots[0]
	at := p.SnapOff + s.Seq%2*uint64(p.SnapLen)
	for i := range uint64(len(im.raw[0])) {
		b := bytes.Clone(sound)
		b[at+i] ^= 0x40
		if got, err := whole(b); err == nil && got.Snapshots[0].Seq == s.Seq && got.Snapshots[0].Number() != s.Number() {
			t.Errorf("damage to byte %d of the snapshot passes", i)
		}
	}
	if noticed == 0 {
		t.Error("nothing was noticed")
	}
}

// Number lets the test compare what counts.
func (s *Snapshot) Number() string { return string(s.Data) }

// plantable: what was read without an error can be sent, parsed and planted.
func plantable(t testing.TB, im *Image) {
	t.Helper()
	wire, err := im.AppendBinary(nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseImage(wire, uint64(im.Size()))
	if err != nil {
		t.Fatalf("it was read, and cannot be parsed: %v", err)
	}
	r, err := NewRegion(got.Size())
	if err != nil {
		t.Skip(err)
	}
	defer r.File.Close()
	b, err := got.Plant(r, netip.MustParseAddrPort("10.0.0.2:80"), netip.MustParseAddrPort("[2001:db8::1]:9"))
	if err != nil {
		t.Fatalf("it was parsed, and cannot be planted: %v", err)
	}
	defer b.Close()
	h, err := b.Head()
	if err != nil {
		t.Fatal(err)
	}
	if h.Generation != im.Head.Generation+1 || h.Local().String() != "10.0.0.2:80" || h.Remote().String() != "[2001:db8::1]:9" {
		t.Errorf("generation %d, %v, %v", h.Generation, h.Local(), h.Remote())
	}
}

func TestRegionIsChecked(t *testing.T) {
	bad := func(what string, r Region) {
		t.Helper()
		var d *DamagedError
		if _, err := OpenBox(r); !errors.As(err, &d) {
			t.Errorf("%s: %v", what, err)
		}
	}
	_, c := accepted(t, Config{})
	good := c.Region()
	bad("an odd offset", Region{good.File, 1, good.Length - 1})
	bad("behind the end", Region{good.File, 4096, good.Length})
	bad("too short", Region{good.File, 0, 10})
	bad("negative", Region{good.File, -4096, good.Length})
	fd, err := unix.MemfdCreate("unsealed", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		t.Fatal(err)
	}
	f := newFile(fd)
	defer f.Close()
	if err := f.Truncate(good.Length); err != nil {
		t.Fatal(err)
	}
	bad("no seals", Region{f, 0, good.Length})
	if _, err := unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, unix.F_SEAL_SHRINK); err != nil {
		t.Fatal(err)
	}
	bad("it can grow", Region{f, 0, good.Length})
	if fd, err := unix.MemfdCreate("huge", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING|unix.MFD_HUGETLB); err == nil {
		huge := newFile(fd)
		defer huge.Close()
		if err := huge.Truncate(2 << 20); err != nil {
			t.Fatal(err)
		}
		if _, err := unix.FcntlInt(huge.Fd(), unix.F_ADD_SEALS, seals); err != nil {
			t.Fatal(err)
		}
		bad("huge pages, of which there may be none left", Region{huge, 0, 4096})
	}
	disk, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer disk.Close()
	if _, err := OpenBox(Region{disk, 0, 4096}); err == nil {
		t.Error("a file on disk was opened")
	}
	empty, err := NewRegion(8192)
	if err != nil {
		t.Fatal(err)
	}
	defer empty.File.Close()
	bad("nothing in it", empty)
	if err := empty.File.Truncate(1); err == nil {
		t.Error("a region was cut")
	}
}

// An arena: many boxes in one file.
func TestRegionWithOffset(t *testing.T) {
	src := used(t)
	im, err := whole(src)
	if err != nil {
		t.Fatal(err)
	}
	arena, err := NewRegion(3 * im.Size())
	if err != nil {
		t.Fatal(err)
	}
	defer arena.File.Close()
	for i := range int64(3) {
		b, err := im.Plant(Region{arena.File, arena.Offset + i*im.Size(), im.Size()}, netip.AddrPort{}, netip.AddrPort{})
		if err != nil {
			t.Fatal(err)
		}
		if snap, err := b.Snapshot(0); err != nil || string(snap.Data) != "drawing" {
			t.Errorf("box %d: %v, %v", i, snap, err)
		}
		b.Close()
	}
}

func FuzzReadBox(f *testing.F) {
	sound := used(f)
	f.Add(sound)
	f.Add(sound[:4096])
	f.Add(sound[:100])
	for _, at := range []int{8, 80, 96, 200, 300, 500, 700} {
		b := bytes.Clone(sound)
		b[at] ^= 0xff
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > uapi.CboxHeadCRCOff+4 { // let it pass, or nothing else is ever tried
			binary.LittleEndian.PutUint64(b, uapi.CboxMagic)
			binary.LittleEndian.PutUint32(b[uapi.CboxHeadCRCOff:], checksum(b[:uapi.CboxHeadCRCOff]))
		}
		im, err := whole(b)
		if err != nil {
			return
		}
		_ = im.Head.Order()
		_, _ = im.Head.Options()
		_, _ = im.Head.Since(im.Root().Actions)
		plantable(t, im)
		touch(t, b)
	})
}

// touch lets a process of the service work with a box that the other one made.
func touch(t *testing.T, b []byte) {
	r, err := NewRegion(int64(len(b)))
	if err != nil {
		t.Skip(err)
	}
	defer r.File.Close()
	if _, err := r.File.WriteAt(b, 0); err != nil {
		t.Skip(err)
	}
	s, err := Open(r, 1, Config{})
	if err != nil {
		return
	}
	defer s.Close()
	for _, c := range s.Channels() {
		_ = c.SetDeadline(time.Unix(1, 0))
		_, _ = c.Read(make([]byte, 10))
		_, _ = c.Write(make([]byte, 1000))
	}
	_ = s.Export([]byte("x"))
	_, _ = s.Associate("y", 1)
}

func FuzzParseImage(f *testing.F) {
	im, err := whole(used(f))
	if err != nil {
		f.Fatal(err)
	}
	wire, err := im.AppendBinary(nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(wire)
	f.Add(wire[:len(wire)-1])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		im, err := ParseImage(b, 1<<20)
		if err == nil {
			plantable(t, im)
		}
	})
}

func FuzzPassed(f *testing.F) {
	p := uapi.CboxPass{Magic: uapi.CboxPassMagic, Length: 4096, Flags: uapi.CboxPassConn}
	f.Add(p.Encode())
	f.Add([]byte("short"))
	f.Fuzz(func(t *testing.T, b []byte) {
		fd, err := unix.MemfdCreate("x", unix.MFD_CLOEXEC)
		if err != nil {
			t.Skip(err)
		}
		got, err := passed(b, []int{fd})
		if err != nil {
			unix.Close(fd)
			return
		}
		if _, err := OpenBox(got.Region); err == nil {
			t.Error("an unsealed, empty file was opened")
		}
		got.Region.File.Close()
	})
}
