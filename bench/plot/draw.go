// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"
	vgdraw "gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"

	"lazystate/bench/result"
)

const width, height = 20 * vg.Centimeter, 12 * vg.Centimeter

// draw returns the figure as SVG.
func draw(fig *result.Figure) ([]byte, error) {
	p := plot.New()
	p.Title.Text = fig.Title
	p.X.Label.Text = fig.X + "\n" + caption(fig)
	p.Y.Label.Text = fig.Y
	p.Legend.Top = true
	p.Legend.Left = true
	p.Add(plotter.NewGrid())
	scale(p, fig)
	add := addLines
	if len(fig.XNames) > 0 {
		add = addBars
	}
	for i, name := range seriesOf(fig) {
		if err := add(p, fig, name, i); err != nil {
			return nil, fmt.Errorf("series %s: %w", name, err)
		}
	}
	if len(fig.XNames) > 0 {
		p.NominalX(fig.XNames...)
	}
	c := vgsvg.New(width, height)
	p.Draw(vgdraw.New(c))
	var b bytes.Buffer
	if _, err := c.WriteTo(&b); err != nil {
		return nil, fmt.Errorf("write svg: %w", err)
	}
	return b.Bytes(), nil
}

func caption(fig *result.Figure) string {
	return fmt.Sprintf("%s; %d runs, %s; bars: least and greatest", fig.Machine, fig.Runs, fig.Date.Format("2006-01-02"))
}

// scale sets logarithmic axes; 0 has no logarithm, so such a point is lifted
// to the least positive value by drawable.
func scale(p *plot.Plot, fig *result.Figure) {
	if fig.LogX {
		p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
	}
	if fig.LogY {
		p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
	} else {
		p.Y.Min = 0
	}
}

func seriesOf(fig *result.Figure) []string {
	var names []string
	for _, p := range fig.Points {
		if !slices.Contains(names, p.Series) {
			names = append(names, p.Series)
		}
	}
	return names
}

// points are a series' points in the form of gonum's plotters.
type points []result.Point

func (s points) Len() int                       { return len(s) }
func (s points) XY(i int) (x, y float64)        { return s[i].X, s[i].Y }
func (s points) YError(i int) (low, hi float64) { return s[i].Y - s[i].Low, s[i].High - s[i].Y }
func (s points) Value(i int) float64            { return s[i].Y }
func (s points) paper() bool                    { return len(s) > 0 && s[0].IsPaper() }

// pick returns the points of a series that the axes can show.
func pick(fig *result.Figure, name string) points {
	var s points
	for _, p := range fig.Points {
		if p.Series != name || fig.LogX && p.X <= 0 || fig.LogY && p.Y <= 0 {
			continue
		}
		if fig.LogY {
			p.Low = max(p.Low, p.Y/1000)
		}
		s = append(s, p)
	}
	return s
}

func addLines(p *plot.Plot, fig *result.Figure, name string, i int) error {
	s := pick(fig, name)
	if len(s) == 0 {
		return nil
	}
	line, dots, err := plotter.NewLinePoints(s)
	if err != nil {
		return err
	}
	line.Color, dots.Color = plotutil.Color(i), plotutil.Color(i)
	dots.Shape = plotutil.Shape(i)
	if s.paper() {
		line.Dashes = plotutil.Dashes(1)
	}
	p.Add(line, dots)
	p.Legend.Add(name, line, dots)
	if s.paper() {
		return nil
	}
	bars, err := plotter.NewYErrorBars(s)
	if err != nil {
		return err
	}
	bars.Color = plotutil.Color(i)
	p.Add(bars)
	return nil
}

// addBars draws one bar a name; x = 1 is the first name.
func addBars(p *plot.Plot, fig *result.Figure, name string, i int) error {
	values := make(plotter.Values, len(fig.XNames))
	for _, pt := range pick(fig, name) {
		if at := int(pt.X) - 1; at >= 0 && at < len(values) {
			values[at] = pt.Y
		}
	}
	n := len(seriesOf(fig))
	w := vg.Points(float64(min(24, 200/n)))
	bar, err := plotter.NewBarChart(values, w)
	if err != nil {
		return err
	}
	bar.Color = plotutil.Color(i)
	bar.Offset = w * vg.Length(float64(i)-float64(n-1)/2)
	p.Add(bar)
	p.Legend.Add(name, bar)
	return nil
}
