// SPDX-License-Identifier: Apache-2.0

package backdoor

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"lazystate/backdoor/uapi"
)

// Target is one boot of one machine behind a Memory: its identity, its regions
// and its manifest, all validated copies. It is safe for concurrent use.
type Target struct {
	mem      Memory
	root     uapi.Root
	regions  []Region
	manifest *Manifest
	counters counters
	space    addressSpace
	seq      sequencer
}

// openTries is how often Open starts again when the target changes its regions
// under the reader.
const openTries = 4

// Open reads and validates root, region table and manifest, and binds the
// carrier to the regions. The Memory stays the caller's to close.
func Open(ctx context.Context, m Memory) (*Target, error) {
	var err error
	for range openTries {
		t := &Target{mem: m}
		if err = t.open(ctx); err == nil {
			return t, nil
		}
		// A change of regions while they are read shows as a new root or as
		// half-written bytes; both are gone at the next try.
		var c *CorruptError
		if !errors.Is(err, ErrReplaced) && !errors.As(err, &c) {
			break
		}
	}
	return nil, fmt.Errorf("open target: %w", err)
}

func (t *Target) open(ctx context.Context) error {
	raw, err := t.mem.Root(ctx)
	if err != nil {
		return fmt.Errorf("read root: %w", err)
	}
	if t.root, err = DecodeRoot(raw); err != nil {
		return err
	}
	if err := t.readTable(ctx); err != nil {
		return err
	}
	if t.manifest, err = t.readManifest(ctx); err != nil {
		return err
	}
	t.space = newAddressSpace(t.regions, t.manifest)
	return t.Check(ctx)
}

func (t *Target) readTable(ctx context.Context) error {
	table := Region{
		Name: "table", Kind: uapi.KindTable, Perm: PermRead, Addr: t.root.TableAddr, Len: uint64(t.root.TableLen),
		GPA: t.root.TableGPA, Key: t.root.TableKey, Generation: t.root.Generation, BootID: t.root.BootID,
	}
	if err := t.mem.Bind([]Region{table}); err != nil {
		return fmt.Errorf("bind the region table: %w", err)
	}
	buf := make([]byte, table.Len)
	if err := t.Do(ctx, table.Read(0, buf)); err != nil {
		return fmt.Errorf("read region table: %w", err)
	}
	regions, generation, boot, err := DecodeTable(buf)
	if err != nil {
		return err
	}
	if boot != BootID(t.root.BootID) || generation != t.root.Generation {
		return corrupt("region table", "boot id %s generation %d, the root says %s, %d",
			boot, generation, BootID(t.root.BootID), t.root.Generation)
	}
	t.regions = regions
	if err := t.mem.Bind(slices.Clone(regions)); err != nil {
		return fmt.Errorf("bind regions: %w", err)
	}
	return nil
}

func (t *Target) readManifest(ctx context.Context) (*Manifest, error) {
	r, err := t.Region(uapi.KindManifest)
	if err != nil {
		return nil, err
	}
	buf := make([]byte, min(r.Len, uapi.ManifestSize+maxManifest))
	if err := t.Do(ctx, r.Read(0, buf)); err != nil {
		return nil, fmt.Errorf("read manifest: %w", err)
	}
	m, err := DecodeManifest(buf)
	if err != nil {
		return nil, err
	}
	if m.BootID != BootID(t.root.BootID) {
		return nil, corrupt("manifest", "boot id %s, the root says %s", m.BootID, BootID(t.root.BootID))
	}
	return m, nil
}

// ReadManifest reads the manifest anew: what it says of the crash kernel
// changes while the target lives.
func (t *Target) ReadManifest(ctx context.Context) (m *Manifest, err error) {
	err = t.around(ctx, func() error {
		for range openTries {
			m, err = t.readManifest(ctx)
			var torn *CorruptError
			if !errors.As(err, &torn) {
				break
			}
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return m, nil
}

// Check reads the root again: ErrReplaced, ErrWithdrawn or ErrGone if this is
// no longer the machine that was opened. Every compound operation of this
// package calls it before and after, so that no result mixes two machines.
func (t *Target) Check(ctx context.Context) error {
	raw, err := t.mem.Root(ctx)
	if err != nil {
		return fmt.Errorf("check target: %w", err)
	}
	now, err := DecodeRoot(raw)
	switch {
	case err != nil:
		return fmt.Errorf("check target: %w", err)
	case now.BootID != t.root.BootID:
		return fmt.Errorf("check target: boot id %s, was %s: %w", BootID(now.BootID), t.BootID(), ErrReplaced)
	case now.Generation != t.root.Generation:
		return fmt.Errorf("check target: generation %d, was %d: %w", now.Generation, t.root.Generation, ErrWithdrawn)
	}
	return nil
}

// around runs fn between two checks. What the target did to fn's data matters
// less than that it is another target, so the second check's error wins.
func (t *Target) around(ctx context.Context, fn func() error) error {
	if err := t.Check(ctx); err != nil {
		return err
	}
	err := fn()
	if ctx.Err() != nil && err != nil {
		return err
	}
	if again := t.Check(ctx); again != nil {
		return again
	}
	return err
}

// Do posts ops as one batch, waits for it and counts it.
func (t *Target) Do(ctx context.Context, ops ...Op) error {
	t.counters.count(ops)
	return Do(ctx, t.mem, ops...)
}

// Region returns the first region of a kind; ErrNoRegion if there is none.
func (t *Target) Region(kind uint32) (Region, error) {
	for _, r := range t.regions {
		if r.Kind == kind {
			return r, nil
		}
	}
	return Region{}, fmt.Errorf("target offers no region of kind %q: %w", uapi.RegionKindName(kind), ErrNoRegion)
}

// ErrNoRegion: the target does not offer a region of that kind, for example
// because its module was loaded without the permission for it.
var ErrNoRegion = errors.New("no such region")

// Regions returns a copy of the region table.
func (t *Target) Regions() []Region { return slices.Clone(t.regions) }

// Manifest returns what the target said about itself when it was opened.
func (t *Target) Manifest() *Manifest { return t.manifest }

// BootID names this load of the module.
func (t *Target) BootID() BootID { return t.root.BootID }

// Generation counts the changes of the region table within a boot.
func (t *Target) Generation() uint64 { return t.root.Generation }

// Memory returns the carrier.
func (t *Target) Memory() Memory { return t.mem }

// Stats returns the counts since Open.
func (t *Target) Stats() Stats { return t.counters.snapshot() }
