// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"strings"

	"lazystate/bench/result"
)

// Sizes of the figure, in pixels.
const (
	titleWidth  = 310
	carrierCell = 128
	outsideCell = 64
	rowHeight   = 40
	headHeight  = 56
	footHeight  = 62
	boxHeight   = 18
	margin      = 8
)

// Colours by the share of runs that worked: safe for the colour-blind, and each
// has its numbers written on it.
const (
	allColour  = "#8fd0b0"
	someColour = "#f3d27a"
	noneColour = "#e3a29b"
	voidColour = "#e6e6e6"
)

func (t tally) colour() string {
	switch {
	case t.all == 0:
		return voidColour
	case t.good == t.all:
		return allColour
	case t.good == 0:
		return noneColour
	}
	return someColour
}

// canvas collects the elements of an SVG.
type canvas struct{ bytes.Buffer }

func (c *canvas) text(x, y int, size float64, anchor, s string) {
	var safe bytes.Buffer
	xml.EscapeText(&safe, []byte(s)) // to a Buffer nothing fails
	fmt.Fprintf(c, `<text x="%d" y="%d" font-size="%g" text-anchor="%s">%s</text>`+"\n", x, y, size, anchor, safe.String())
}

func (c *canvas) box(x, y, w, h int, colour string) {
	fmt.Fprintf(c, `<rect x="%d" y="%d" width="%d" height="%d" fill="%s" stroke="white"/>`+"\n", x, y, w, h, colour)
}

// picture is the matrix as SVG.
func (m *matrix) picture() []byte {
	width := titleWidth + margin
	var left []int
	for i := range m.columns {
		left = append(left, width)
		width += m.columns[i].width()
	}
	width += margin
	height := headHeight + rowHeight*len(m.rows) + footHeight
	c := &canvas{}
	fmt.Fprintf(c, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" role="img">`+"\n", width, height)
	c.WriteString("<title>What survives which failure</title>\n")
	c.box(0, 0, width, height, "white")
	for i := range m.columns {
		m.head(c, left[i], &m.columns[i])
	}
	for i, r := range m.rows {
		y := headHeight + i*rowHeight
		c.text(margin, y+boxHeight-4, 13, "start", r.title)
		for j := range m.columns {
			m.cells[i][j].draw(c, left[j], y, &m.columns[j])
		}
	}
	join := func(get func(*line) string) string { return strings.Join(of(m.lines, get), ", ") }
	for i, s := range []string{
		"R read, L locked, M mended: in how many runs; below: how long after the fault the monitor told (median), and its false events. " +
			"Green: in all runs, yellow: in some, red: in none.",
		fmt.Sprintf("At least %d run(s) of each row on each kernel: %s.", m.fewest(), join(func(l *line) string { return l.Release })),
		join(func(l *line) string { return l.Machine }),
	} {
		c.text(margin, height-footHeight+20+16*i, 11, "start", s)
	}
	c.WriteString("</svg>\n")
	return c.Bytes()
}

func (c *column) width() int {
	if c.carrier {
		return carrierCell
	}
	return outsideCell
}

func (m *matrix) head(c *canvas, x int, col *column) {
	words := strings.SplitN(col.title, " ", 2)
	if col.carrier {
		words = []string{col.title}
	}
	for i, w := range words {
		c.text(x+col.width()/2, 18+14*i, 12, "middle", w)
	}
	if col.carrier {
		for i, w := range []string{"R", "L", "M"} {
			c.text(x+2+i*carrierThird+carrierThird/2, headHeight-8, 11, "middle", w)
		}
	}
}

const carrierThird = (carrierCell - 4) / 3

func (cell *cell) draw(c *canvas, x, y int, col *column) {
	switch {
	case cell.runs == 0:
		return
	case cell.unable:
		c.box(x+2, y, col.width()-4, boxHeight, voidColour)
		c.text(x+col.width()/2, y+boxHeight-5, 11, "middle", notHere)
		return
	case !col.carrier:
		c.box(x+2, y, col.width()-4, boxHeight, cell.read.colour())
		c.text(x+col.width()/2, y+boxHeight-5, 11, "middle", cell.read.String())
		return
	}
	for i, t := range []tally{cell.read, cell.locked, cell.mended} {
		c.box(x+2+i*carrierThird, y, carrierThird, boxHeight, t.colour())
		c.text(x+2+i*carrierThird+carrierThird/2, y+boxHeight-5, 11, "middle", t.String())
	}
	told := ""
	if len(cell.detected) > 0 {
		told = brisk(result.Median(cell.detected))
		if len(cell.detected) < cell.runs {
			told += fmt.Sprintf(" (%d/%d)", len(cell.detected), cell.runs)
		}
	}
	if cell.wrong > 0 {
		told = strings.TrimSpace(told + fmt.Sprintf(" false %d", cell.wrong))
	}
	if told != "" {
		c.text(x+col.width()/2, y+boxHeight+13, 10, "middle", told)
	}
}
