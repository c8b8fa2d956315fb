// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"
	"testing"

	"lazystate/bench/result"
)

// As perftest 4.5 prints them.
const (
	latency = `---------------------------------------------------------------------------------------
 #bytes #iterations    t_min[usec]    t_max[usec]  t_typical[usec]    t_avg[usec]    t_stdev[usec]   99% percentile[usec]   99.9% percentile[usec] 
 64      1000          39.12          1302.11      47.05     	       49.61       	22.15		88.20   		1302.11
---------------------------------------------------------------------------------------
`
	bandwidth = `---------------------------------------------------------------------------------------
 #bytes     #iterations    BW peak[MB/sec]    BW average[MB/sec]   MsgRate[Mpps]
 65536      1000             51.30              49.87		   0.000798
---------------------------------------------------------------------------------------
`
)

func TestPerftestsTable(t *testing.T) {
	for _, c := range []struct {
		out, column string
		want        float64
	}{
		{latency, "t_typical[usec]", 47.05},
		{latency, "#bytes", 64},
		{bandwidth, "BW average[MB/sec]", 49.87},
		{bandwidth, "BW peak[MB/sec]", 51.30},
	} {
		got, err := cellOf(c.out, c.column)
		if err != nil || got != c.want {
			t.Errorf("%s: %v, %v", c.column, got, err)
		}
	}
	for _, out := range []string{"", "Couldn't connect to 10.0.0.1:18515\n", " #bytes #iterations", latency[:200]} {
		if v, err := cellOf(out, "t_typical[usec]"); err == nil {
			t.Errorf("%q has %v", out, v)
		}
	}
}

// Ten in a hundred more than perftest takes is met, more is not; between two guests nothing is asked.
func TestJudge(t *testing.T) {
	var fig result.Figure
	for i, ratio := range []float64{1.1, 1.11, 3, 3} {
		cells[i].judge(&fig, ratio)
	}
	want := []string{
		"bound: 64 B latency: 1.100 x perftest's time, at most 1.100 (the issue's, which wishes for 1.05): met",
		"bound: 64 KiB bandwidth: 1.110 x perftest's time, at most 1.100 (the issue's, which wishes for 1.05): not met",
	}
	if !slices.Equal(fig.Notes, want) {
		t.Errorf("%q", fig.Notes)
	}
}
