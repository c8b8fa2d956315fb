// SPDX-License-Identifier: Apache-2.0

package backdoor

import (
	"hash/crc32"
	"maps"
	"slices"

	"lazystate/backdoor/uapi"
)

// maxManifest bounds what is read for a manifest, whatever its header says.
const maxManifest = 1 << 20

// Member is a field of a kernel structure: its offset and size in bytes.
// A sizeof entry ("task_struct") has Size 0 and the sizeof in Off.
type Member struct {
	Off, Size uint32
}

// Manifest is what the target says about itself so that a reader guesses
// nothing: text, values and the compiler's own structure offsets.
type Manifest struct {
	BootID     BootID
	Generation uint64

	strings map[string]string
	values  map[string]uint64
	members map[string]Member
}

// DecodeManifest validates a copy of the manifest, header and entries.
func DecodeManifest(b []byte) (*Manifest, error) {
	var h uapi.Manifest
	if err := h.Decode(b); err != nil {
		return nil, corrupt("manifest", "%v", err)
	}
	body := b[uapi.ManifestSize:]
	switch {
	case h.Magic != uapi.ManifestMagic:
		return nil, corrupt("manifest", "magic %#x", h.Magic)
	case uint64(h.Len) > uint64(len(body)):
		return nil, corrupt("manifest", "%d bytes of entries in %d", h.Len, len(body))
	}
	body = body[:h.Len]
	if sum := crc32.ChecksumIEEE(body); sum != h.CRC32 && sum != h.CRC32Next {
		return nil, corrupt("manifest", "crc %#x, says %#x and next %#x", sum, h.CRC32, h.CRC32Next)
	}
	m := &Manifest{
		BootID: h.BootID, Generation: h.Generation,
		strings: map[string]string{}, values: map[string]uint64{}, members: map[string]Member{},
	}
	return m, m.entries(body)
}

func (m *Manifest) entries(b []byte) error {
	for len(b) > 0 {
		var h uapi.EntryHead
		if err := h.Decode(b); err != nil {
			return corrupt("manifest", "%d bytes after the last entry", len(b))
		}
		if h.Tag == uapi.TagEnd {
			return nil
		}
		if h.Size < uapi.EntryHeadSize || h.Size%8 != 0 || uint64(h.Size) > uint64(len(b)) {
			return corrupt("manifest", "entry %q of %d bytes in %d", uapi.CString(h.Name[:]), h.Size, len(b))
		}
		if err := m.entry(h, b[:h.Size]); err != nil {
			return err
		}
		b = b[h.Size:]
	}
	return nil
}

// entry takes one entry; unknown tags belong to a newer target and are skipped.
func (m *Manifest) entry(h uapi.EntryHead, b []byte) error {
	name := uapi.CString(h.Name[:])
	if !printable(name) {
		return corrupt("manifest", "entry named %q", name)
	}
	switch h.Tag {
	case uapi.TagString:
		m.strings[name] = uapi.CString(b[uapi.EntryHeadSize:])
	case uapi.TagValue:
		var e uapi.EntryValue
		if err := e.Decode(b); err != nil {
			return corrupt("manifest", "value %q: %v", name, err)
		}
		m.values[name] = e.Value
	case uapi.TagOffset:
		var e uapi.EntryOffset
		if err := e.Decode(b); err != nil {
			return corrupt("manifest", "offset %q: %v", name, err)
		}
		if e.Offset > 1<<20 || e.Bytes > 1<<20 {
			return corrupt("manifest", "%q at %d, %d bytes", name, e.Offset, e.Bytes)
		}
		m.members[name] = Member{e.Offset, e.Bytes}
	}
	return nil
}

// Offset returns a structure member, as "task_struct.pid".
func (m *Manifest) Offset(name string) (Member, bool) { v, ok := m.members[name]; return v, ok }

// Value returns a number, as "page_offset_base".
func (m *Manifest) Value(name string) (uint64, bool) { v, ok := m.values[name]; return v, ok }

// String returns a text, as "kernel_release".
func (m *Manifest) String(name string) (string, bool) { v, ok := m.strings[name]; return v, ok }

// StampsPanic reports whether a panic will leave a stamp: where a crash kernel
// is loaded, it runs before the module's notifier unless the target's
// crash_kexec_post_notifiers is set.
func (m *Manifest) StampsPanic() bool {
	return m.values["crash_kernel_loaded"] == 0 || m.values["crash_kexec_post_notifiers"] != 0
}

// Names returns the names of all strings, values and members, each sorted.
func (m *Manifest) Names() (strings, values, members []string) {
	return slices.Sorted(maps.Keys(m.strings)), slices.Sorted(maps.Keys(m.values)), slices.Sorted(maps.Keys(m.members))
}
