// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"lazystate/bench/result"
	"lazystate/examples/auction/load"
	"lazystate/tools/lab"
)

// recordEnv names the file that the soak keeps its runs in.
const recordEnv = "AUCTION_RECORD"

// §3.9.4, failover correctness: clients that ask for registrations alone, or for bids
// alone, each of them a transaction of several queries and one update, while machines
// of one tier or of both die at random moments. Each request has its own reply, and the
// database has each update once. In make soak 200 clients, 200 runs, which AUCTION_RECORD
// names the file of.
func TestConsistency(t *testing.T) {
	runs, clients, mixes := lab.Count(2, 200), lab.Count(10, 200), []string{"registrations", "bids"}
	kept := consistency{path: os.Getenv(recordEnv), Begun: time.Now().UTC().Truncate(time.Second), Clients: clients, Rows: []consistent{}}
	if kept.path != "" {
		kept.Machine = result.Host()
		kept.Source, _ = result.Source(t.Context())
	}
	for i := range runs {
		d, mix := deaths[i%len(deaths)], mixes[i%len(mixes)]
		row := consistent{Death: d.name, Mix: mix, Seed: uint64(i)}
		t.Run(fmt.Sprint(i, " ", d.name, " ", mix), func(t *testing.T) {
			began := time.Now()
			s := sited(t)
			events := s.asked(s.crowd(clients, mix, row.Seed), rand.New(rand.NewPCG(row.Seed, 394)), func() { d.do(s) })
			row.found(s.sound(events), load.Sum(events))
			row.OK, row.TookMs = !t.Failed(), time.Since(began).Milliseconds()
		})
		if err := kept.add(row); err != nil {
			t.Fatal(err)
		}
	}
}

// consistency is the file of a soak: it is whole after each run, for a soak takes hours
// and may be interrupted.
type consistency struct {
	path string

	Begun   time.Time      `json:"begun"`
	Machine result.Machine `json:"machine"`
	Source  string         `json:"source"` // commit of the tree it ran in
	Clients int            `json:"clients"`
	Runs    int            `json:"runs"`
	Good    int            `json:"good"`
	Rows    []consistent   `json:"rows"`
}

// consistent is one run.
type consistent struct {
	Death    string `json:"death"` // of which tiers, and in which order
	Mix      string `json:"mix"`
	Seed     uint64 `json:"seed"`
	OK       bool   `json:"ok"`
	Requests int    `json:"requests"`
	Replies  int    `json:"replies"` // to their own requests
	Updates  int    `json:"updates"` // that clients were told of, and that are there, once
	Missing  int    `json:"missing"`
	Twice    int    `json:"twice"`
	Phantoms int    `json:"phantoms"`
	WorstMs  int64  `json:"worst_ms"` // from a request to its reply
	TookMs   int64  `json:"took_ms"`
}

func (r *consistent) found(v *load.Verdict, s *load.Summary) {
	r.Requests, r.Replies, r.WorstMs = len(s.Events), s.Replies, s.Worst.Milliseconds()
	r.Updates, r.Missing, r.Twice, r.Phantoms = v.Done, len(v.Missing), len(v.Twice), len(v.Phantom)
}

// add writes the file anew, beside it first; without a path nothing is kept.
func (c *consistency) add(row consistent) error {
	if c.path == "" {
		return nil
	}
	c.Rows = append(c.Rows, row)
	c.Runs++
	if row.OK {
		c.Good++
	}
	return result.WriteRecord(c.path, c)
}

// readConsistency reads such a file, and nothing else that is JSON.
func readConsistency(path string) (*consistency, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	c := &consistency{path: path}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	return c, d.Decode(c)
}

// A soak's file says what its runs did, and the one that is committed is whole.
func TestConsistencyFile(t *testing.T) {
	want := consistency{path: filepath.Join(t.TempDir(), "soak.json"), Begun: time.Now().UTC().Truncate(time.Second), Clients: 3}
	row := consistent{Death: "front", Mix: "bids", Seed: 1, OK: true}
	row.found(&load.Verdict{Done: 1, Twice: []string{"bid 7"}}, load.Sum([]load.Event{{Kind: "bid", Key: "7", ID: 1}, {Kind: "bid", Refused: true}}))
	for _, r := range []consistent{row, {Death: "middle", Mix: "registrations"}} {
		if err := want.add(r); err != nil {
			t.Fatal(err)
		}
	}
	got, err := readConsistency(want.path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(&want, got, cmpopts.IgnoreUnexported(consistency{})); d != "" {
		t.Error(d)
	}
	if got.Runs != 2 || got.Good != 1 || got.Rows[0].Replies != 2 || got.Rows[0].Twice != 1 {
		t.Errorf("%+v", got)
	}
	kept, err := readConsistency("../../bench/results/soak-auction.json")
	if errors.Is(err, fs.ErrNotExist) {
		return // no soak has been committed yet
	}
	if err != nil || kept.Runs != len(kept.Rows) || kept.Runs == 0 || kept.Source == "" {
		t.Errorf("%+v, %v", kept, err)
	}
}
