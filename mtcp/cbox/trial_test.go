// SPDX-License-Identifier: Apache-2.0

package cbox

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"

	"lazystate/backdoor/uapi"
)

// onTrial compares what a keeper and the reader of a dead kernel's memory see.
func onTrial(t *testing.T, b *Box, want uint32) {
	t.Helper()
	here, err := b.Trial()
	if err != nil {
		t.Fatal(err)
	}
	im, err := ReadImage(uint64(len(b.m)), b.Fetch)
	if err != nil {
		t.Fatal(err)
	}
	if there := im.Trial(); here != want || there != want {
		t.Errorf("on trial %d here, %d elsewhere, want %d", here, there, want)
	}
}

// §3.6.3: a session is on trial until each of its processes has exported, or its
// keeper has seen enough; where it moves to it is not.
func TestTrial(t *testing.T) {
	client, root, child, up, down := pair(t, Config{})
	export(t, root, "before")
	export(t, child, "before")
	b, err := OpenBox(root.Region())
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	onTrial(t, b, 0)
	b.Try(false)
	onTrial(t, b, uapi.CboxTrial)
	send(t, client, "x")
	get(t, root, "x")
	send(t, down, "x")
	export(t, root, "behind")
	onTrial(t, b, uapi.CboxTrial)
	get(t, up, "x")
	export(t, child, "behind")
	onTrial(t, b, 0)

	b.Try(true)
	onTrial(t, b, uapi.CboxTrialAgain)
	b.Acquit()
	onTrial(t, b, 0)
	b.Try(true)
	im, err := whole(bytes.Clone(b.m))
	if err != nil {
		t.Fatal(err)
	}
	r, err := NewRegion(im.Size())
	if err != nil {
		t.Fatal(err)
	}
	defer r.File.Close()
	moved, err := im.Plant(r, netip.MustParseAddrPort("10.0.0.2:80"), netip.MustParseAddrPort("10.0.0.9:9"))
	if err != nil {
		t.Fatal(err)
	}
	defer moved.Close()
	onTrial(t, moved, 0)
}

// Words that nobody has written are no acquittal, and none ends a reader.
func TestHostileTrial(t *testing.T) {
	_, c := accepted(t, Config{})
	export(t, c, "one")
	b, err := OpenBox(c.Region())
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for _, v := range []struct {
		trial uint32
		tried uint64
		want  uint32
	}{{7, 1 << 63, uapi.CboxTrialAgain}, {^uint32(0), ^uint64(0), uapi.CboxTrialAgain}, {1, ^uint64(0), uapi.CboxTrial}, {9, 0, 0}, {0, ^uint64(0), 0}} {
		binary.LittleEndian.PutUint32(b.m[uapi.CboxHeadTrialOff:], v.trial)
		binary.LittleEndian.PutUint64(b.m[uapi.CboxHeadTriedOff:], v.tried)
		onTrial(t, b, v.want)
	}
}
