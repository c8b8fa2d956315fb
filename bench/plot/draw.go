// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"image/color"
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

// line is the height of a line of the legend and of the caption.
const line = 14

// chart is a plot, with its legend outside where it hides nothing.
type chart struct {
	*plot.Plot
	legend plot.Legend
	fig    *result.Figure
}

// draw returns the figure as SVG.
func draw(fig *result.Figure) ([]byte, error) {
	c := &chart{plot.New(), plot.NewLegend(), fig}
	c.Title.Text = fig.Title
	c.X.Label.Text = fig.X
	c.Y.Label.Text = fig.Y
	c.legend.Top, c.legend.Left = true, true
	c.Add(plotter.NewGrid())
	c.scale()
	add := c.addLines
	if len(fig.XNames) > 0 {
		add = c.addDots
	}
	names := seriesOf(fig)
	for i, name := range names {
		if err := add(name, i); err != nil {
			return nil, fmt.Errorf("series %s: %w", name, err)
		}
	}
	if len(fig.XNames) > 0 {
		c.NominalX(fig.XNames...)
		c.X.Min, c.X.Max = -0.5, float64(len(fig.XNames))-0.5
	}
	return c.svg(len(names))
}

// svg lays out plot, legend and caption from top to bottom.
func (c *chart) svg(entries int) ([]byte, error) {
	foot := vg.Points(float64(entries+4) * line)
	paper := vgsvg.New(width, height+foot)
	all := vgdraw.New(paper)
	all.SetColor(color.White) // the file may be shown on any background
	all.Fill(all.Rectangle.Path())
	c.Draw(vgdraw.Crop(all, vg.Millimeter, -vg.Centimeter, foot, -vg.Millimeter))
	c.legend.Draw(vgdraw.Crop(all, vg.Centimeter, 0, vg.Points(2.5*line), -height-vg.Points(line/2)))
	small := c.X.Tick.Label
	small.Font.Size = vg.Points(9)
	small.XAlign = vgdraw.XLeft
	for i, text := range caption(c.fig) {
		all.FillText(small, vg.Point{X: vg.Centimeter, Y: vg.Points(float64(2-i)*line - line/3*2 + 4)}, text)
	}
	var b bytes.Buffer
	if _, err := paper.WriteTo(&b); err != nil {
		return nil, fmt.Errorf("write svg: %w", err)
	}
	return b.Bytes(), nil
}

func caption(fig *result.Figure) [2]string {
	return [2]string{fig.Machine.String(), fmt.Sprintf("%d runs, %s, commit %.12s; bars: least and greatest", fig.Runs, fig.Date.Format("2006-01-02"), fig.Source)}
}

// scale sets logarithmic axes.
func (c *chart) scale() {
	if c.fig.LogX {
		c.X.Scale, c.X.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
	}
	if c.fig.LogY {
		c.Y.Scale, c.Y.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
	} else {
		c.Y.Min = 0
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
func (s points) paper() bool                    { return len(s) > 0 && s[0].IsPaper() }

// pick returns the points of a series that the axes can show: 0 has no logarithm.
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

func (c *chart) addLines(name string, i int) error {
	s := pick(c.fig, name)
	if len(s) == 0 {
		return nil
	}
	lines, dots, err := plotter.NewLinePoints(s)
	if err != nil {
		return err
	}
	lines.Color, dots.Color = plotutil.Color(i), plotutil.Color(i)
	dots.Shape = plotutil.Shape(i)
	if s.paper() {
		lines.Dashes = plotutil.Dashes(1)
	}
	c.Add(lines, dots)
	c.legend.Add(name, lines, dots)
	return c.addRange(s, i)
}

// addDots draws one point a name, the series side by side; x = 1 is the first
// name. Bars would begin at 0, which a logarithmic axis does not have.
func (c *chart) addDots(name string, i int) error {
	s := pick(c.fig, name)
	n := len(seriesOf(c.fig))
	for j := range s {
		s[j].X += (float64(i)-float64(n-1)/2)*min(0.12, 0.7/float64(n)) - 1
	}
	if len(s) == 0 {
		return nil
	}
	dots, err := plotter.NewScatter(s)
	if err != nil {
		return err
	}
	dots.Color, dots.Shape, dots.Radius = plotutil.Color(i), plotutil.Shape(i), vg.Points(4)
	c.Add(dots)
	c.legend.Add(name, dots)
	return c.addRange(s, i)
}

// addRange draws least and greatest of what was measured.
func (c *chart) addRange(s points, i int) error {
	if s.paper() {
		return nil
	}
	bars, err := plotter.NewYErrorBars(s)
	if err != nil {
		return err
	}
	bars.Color = plotutil.Color(i)
	c.Add(bars)
	return nil
}
