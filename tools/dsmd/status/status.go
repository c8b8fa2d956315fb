// SPDX-License-Identifier: Apache-2.0

package status

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"lazystate/dsm"
	"lazystate/dsm/daemon"
	"lazystate/dsm/transport"
	"lazystate/dsm/vtime"
	"lazystate/internal/atomicfile"
)

// Report is one node's.
type Report struct {
	Node        dsm.NodeID             `json:"node"`
	Nodes       int                    `json:"nodes"`
	Host        string                 `json:"host"`
	PID         int                    `json:"pid"`
	Began       time.Time              `json:"began"` // this incarnation
	Written     time.Time              `json:"written"`
	Incarnation uint32                 `json:"incarnation"`
	Live        bool                   `json:"live"` // false: it recovers, or has failed
	Failed      string                 `json:"failed,omitempty"`
	Ordinal     uint64                 `json:"ordinal"` // operations of the program
	Time        vtime.Time             `json:"time"`
	Waiting     string                 `json:"waiting,omitempty"`
	LogBytes    int                    `json:"log_bytes"`
	Region      int64                  `json:"region_bytes"`
	Counters    Counters               `json:"counters"`
	Times       daemon.Times           `json:"times"`
	DiskBytes   uint64                 `json:"disk_bytes"` // written for checkpoints, in all folders
	Peers       []transport.PeerStatus `json:"peers"`
}

// Counters are dsm.Counters.
type Counters struct {
	Misses     uint64 `json:"misses"`
	Upgrades   uint64 `json:"upgrades"`
	Found      uint64 `json:"found"`
	Intervals  uint64 `json:"intervals"`
	LogCreated uint64 `json:"log_created_bytes"`
	LogSaved   uint64 `json:"log_saved_bytes"`
	LogMost    uint64 `json:"log_most_bytes"`
	LogGone    uint64 `json:"log_gone_bytes"`
	Granted    uint64 `json:"granted"`
	News       uint64 `json:"news"`
	NewsBytes  uint64 `json:"news_bytes"`
	Saved      uint64 `json:"saved"`
	WindowMost int    `json:"window_most"`
}

// Of makes a report of what the daemon and its links say.
func Of(cfg dsm.Config, began time.Time, s daemon.Status, written uint64, peers []transport.PeerStatus) Report {
	host, _ := os.Hostname() // or nobody knows
	return Report{
		Node: cfg.Self, Nodes: cfg.Nodes, Host: host, PID: os.Getpid(), Began: began, Written: time.Now(),
		Incarnation: s.Incarnation, Live: s.Live, Failed: s.Failed, Ordinal: s.Ordinal, Time: s.Time, Waiting: s.Waiting,
		LogBytes: s.LogBytes, Region: s.Region, Counters: Counters(s.Counters), Times: s.Times, DiskBytes: written, Peers: peers,
	}
}

// folder of a run that has the reports.
const folder = "status"

// Write replaces a node's report.
func Write(run string, r Report) error {
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	dir := filepath.Join(run, folder)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return atomicfile.Write(filepath.Join(dir, fmt.Sprintf("node-%d", r.Node)), b, 0o600)
}

// most is the longest report that is read: of thousands of nodes.
const most = 8 << 20

// Read returns the reports of a run, by node. One that cannot be read is an error
// beside the others.
func Read(run string) ([]Report, error) {
	files, err := filepath.Glob(filepath.Join(run, folder, "node-*"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s: no node has reported there", run)
	}
	var all []Report
	var bad error
	for _, name := range files {
		r, err := readOne(name)
		if err != nil {
			bad = errors.Join(bad, fmt.Errorf("%s: %w", name, err))
			continue
		}
		all = append(all, *r)
	}
	slices.SortFunc(all, func(a, b Report) int { return cmp.Compare(a.Node, b.Node) })
	return all, bad
}

func readOne(name string) (*Report, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return nil, err
	}
	if len(b) > most {
		return nil, errors.New("it has no end")
	}
	r := &Report{}
	if err := json.NewDecoder(bytes.NewReader(b)).Decode(r); err != nil {
		return nil, err
	}
	return r, nil
}
