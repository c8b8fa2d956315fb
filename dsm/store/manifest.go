// SPDX-License-Identifier: Apache-2.0

package store

import (
	"fmt"
	"math"
	"path/filepath"
	"time"

	"lazystate/dsm"
	"lazystate/dsm/vtime"
)

// Format is of all files of a folder together.
const Format = 2

// cluster is whose checkpoints they are.
type cluster struct {
	Format   int        `json:"format"`
	Node     dsm.NodeID `json:"node"`
	Nodes    int        `json:"nodes"`
	Pages    int        `json:"pages"`
	PageSize int        `json:"page_size"`
}

func clusterOf(cfg dsm.Config) cluster {
	return cluster{Format, cfg.Self, cfg.Nodes, cfg.Pages, cfg.PageSize}
}

// check is nil for numbers that a cluster can have.
func (c cluster) check() error {
	switch {
	case c.Format != Format:
		return fmt.Errorf("format %d, this is format %d", c.Format, Format)
	case c.Nodes < 1 || c.Nodes > math.MaxUint16 || int(c.Node) >= c.Nodes:
		return damaged("node %d of %d", c.Node, c.Nodes)
	case c.Pages < 0 || c.Pages > math.MaxInt32 || c.PageSize < 1 || c.PageSize > 1<<15:
		return damaged("%d pages of %d bytes", c.Pages, c.PageSize)
	}
	return nil
}

// is refuses a folder of another node or of a cluster of another kind.
func (c cluster) is(want cluster) error {
	if c != want {
		return fmt.Errorf("it is of node %d of %d with %d pages of %d bytes, not of node %d of %d with %d pages of %d bytes",
			c.Node, c.Nodes, c.Pages, c.PageSize, want.Node, want.Nodes, want.Pages, want.PageSize)
	}
	return nil
}

// manifest says what a checkpoint consists of.
type manifest struct {
	cluster
	Number      uint32     `json:"number"`
	Incarnation uint32     `json:"incarnation"`
	Time        time.Time  `json:"time"`
	T           vtime.Time `json:"t_ckp"`
	Ordinal     uint64     `json:"ordinal"`
	Barriers    uint64     `json:"barriers"`
	V           vtime.Time `json:"v_h"`
	State       part       `json:"state"`
	Private     part       `json:"private"`
	Index       part       `json:"index"`
	Segments    []segment  `json:"segments"`
}

// part is a file that is read as a whole.
type part struct {
	Bytes int64  `json:"bytes"`
	CRC   uint32 `json:"crc32c"`
}

func partOf(b []byte) part { return part{int64(len(b)), checksum(b)} }

// segment is a file of pages that one checkpoint wrote, and maybe others link to.
type segment struct {
	Number uint32 `json:"number"` // of the checkpoint that wrote it
	Pages  uint32 `json:"pages"`
	Used   uint32 `json:"used"` // by this checkpoint
}

func (s segment) name() string { return fmt.Sprintf("pages-%d", s.Number) }

// Names of the parts, and what is the most that is read of each.
const (
	manifestName = "manifest"
	stateName    = "state"
	privateName  = "private"
	indexName    = "index"
	windowName   = "window"
	lockName     = "lock"

	mostJSON = 64 << 20
	mostPart = 16 << 30
	// mostSegments of a checkpoint: reading it opens each.
	mostSegments = 16
)

func readManifest(d disk, dir string) (*manifest, error) {
	path := filepath.Join(dir, manifestName)
	b, err := read(d, path, mostJSON)
	if err != nil {
		return nil, err
	}
	m := &manifest{}
	if err := unseal(b, m); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if err := m.check(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}

func (m *manifest) check() error {
	if err := m.cluster.check(); err != nil {
		return err
	}
	switch {
	case len(m.T) != m.Nodes || len(m.V) != m.Nodes:
		return damaged("times of %d and %d nodes, not %d", len(m.T), len(m.V), m.Nodes)
	case m.Number == 0:
		return damaged("checkpoint 0 is the beginning")
	case len(m.Segments) > mostSegments:
		return damaged("%d files of pages", len(m.Segments))
	}
	for _, p := range []part{m.State, m.Private, m.Index} {
		if p.Bytes < 0 || p.Bytes > mostPart {
			return damaged("a file of %d bytes", p.Bytes)
		}
	}
	for i, s := range m.Segments {
		if i > 0 && s.Number >= m.Segments[i-1].Number || s.Number > m.Number {
			return damaged("files of pages out of order")
		}
	}
	return nil
}

// readPart reads a file and compares it with what the manifest says of it.
func readPart(d disk, path string, p part) ([]byte, error) {
	b, err := read(d, path, p.Bytes)
	if err != nil {
		return nil, err
	}
	if partOf(b) != p {
		return nil, fmt.Errorf("%s: %w", path, damaged("%d bytes with CRC32C %08x, not %d with %08x", len(b), checksum(b), p.Bytes, p.CRC))
	}
	return b, nil
}
