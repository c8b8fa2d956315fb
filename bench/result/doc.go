// SPDX-License-Identifier: Apache-2.0

// Package result is what every bench writes: the points of one table or figure
// of the dissertation (§3.9), the paper's own points beside them, and the
// machine they were measured on. One CSV file holds one Figure; bench/plot
// turns it into an SVG.
//
// The trap: a figure without its machine says nothing, and one sample without
// its spread little more. A Figure that names no machine, no commit or no
// runs is refused, a point carries median, least and greatest; and nothing in the file may tell
// where or on whose machine it was made (no paths, no host names).
//
//	fig := result.Figure{Name: "fetch", Title: "Sensor Box fetch (§3.9.3)",
//		X: "sensors", Y: "us", Runs: 5, Date: time.Now(), Machine: result.Host()}
//	fig.Paper("paper (Myrinet)", 100, 16)
//	fig.Add("ours (I-NIC)", 100, samples)
//	err := fig.Save("bench/results")
package result
