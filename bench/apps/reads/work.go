// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"runtime"
	"runtime/debug"
	"slices"
	"time"

	"lazystate/verbs"
)

// work is what is measured.
type work struct {
	device                    string
	size, iters, depth, batch int
	every                     int // n-th completes visibly
}

func (w *work) check() error {
	if w.size < 0 || w.size > most || w.iters < 1 || w.depth < 1 || w.batch < 1 || w.batch > w.depth || w.every < 1 || w.every > w.depth {
		return errors.New("not so many")
	}
	return nil
}

// report is what came out.
type report struct {
	MedianUs float64 `json:"median_us"` // of one READ, where one is done at a time
	MeanUs   float64 `json:"mean_us"`
	MiBPerS  float64 `json:"mib_per_s"`
}

func (w *work) measure(s *side) (*report, error) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // nothing is allocated while it is measured
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if w.depth == 1 {
		return w.latency(s)
	}
	return w.bandwidth(s)
}

func (w *work) read(s *side) verbs.SendWR {
	return verbs.SendWR{
		Op: verbs.OpRDMARead, Flags: verbs.SendSignaled, SG: []verbs.SGE{s.mr.SGE(0, w.size)},
		RemoteAddr: s.addr, RKey: s.rkey,
	}
}

// latency does one at a time, and takes the time once in each turn.
func (w *work) latency(s *side) (*report, error) {
	wrs := []verbs.SendWR{w.read(s)}
	wc := make([]verbs.WC, 1)
	took := make([]float64, 0, w.iters)
	start := time.Now()
	last := start
	for range w.iters {
		if _, err := s.qp.PostSend(wrs...); err != nil {
			return nil, err
		}
		for n := 0; n == 0; { // it spins, as perftest does
			var err error
			if n, err = s.cq.Poll(wc); err != nil {
				return nil, err
			}
		}
		if err := wc[0].Err(); err != nil {
			return nil, err
		}
		now := time.Now()
		took = append(took, float64(now.Sub(last))/1e3)
		last = now
	}
	all := last.Sub(start)
	slices.Sort(took)
	return &report{MedianUs: took[len(took)/2], MeanUs: float64(all) / 1e3 / float64(w.iters), MiBPerS: w.rate(all)}, nil
}

// bandwidth keeps the queue full.
func (w *work) bandwidth(s *side) (*report, error) {
	wrs := make([]verbs.SendWR, w.batch)
	for i := range wrs {
		wrs[i] = w.read(s)
	}
	wc := make([]verbs.WC, w.depth)
	start := time.Now()
	for posted, done := 0, 0; done < w.iters; {
		for posted < w.iters && posted-done+w.batch <= w.depth {
			n := min(w.batch, w.iters-posted)
			for i := range wrs[:n] {
				w.number(&wrs[i], posted+i+1)
			}
			if _, err := s.qp.PostSend(wrs[:n]...); err != nil {
				return nil, err
			}
			posted += n
		}
		n, err := s.cq.Poll(wc)
		if err != nil {
			return nil, err
		}
		for i := range wc[:n] {
			if err := wc[i].Err(); err != nil {
				return nil, err
			}
			done = int(wc[i].ID)
		}
	}
	all := time.Since(start)
	return &report{MeanUs: float64(all) / 1e3 / float64(w.iters), MiBPerS: w.rate(all)}, nil
}

// number marks the k-th READ: with a visible completion k are done.
func (w *work) number(wr *verbs.SendWR, k int) {
	wr.ID, wr.Flags = uint64(k), 0
	if k%w.every == 0 || k == w.iters {
		wr.Flags = verbs.SendSignaled
	}
}

func (w *work) rate(all time.Duration) float64 {
	return float64(w.size) * float64(w.iters) / (1 << 20) / all.Seconds()
}
