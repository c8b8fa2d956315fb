// SPDX-License-Identifier: Apache-2.0

package uapigen

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"strconv"
)

var (
	suffix = regexp.MustCompile(`\b(0[xX][0-9a-fA-F]+|[0-9]+)[uUlL]+\b`)
	ioctl  = regexp.MustCompile(`_(IOR|IOW|IOWR)\((\w+),\s*(\d+),\s*(?:struct\s+)?(\w+)\)`)
)

// eval computes a constant expression; ioctl numbers as asm-generic/ioctl.h does.
func (h *Header) eval(text string) (uint64, error) {
	if m := ioctl.FindStringSubmatch(text); m != nil {
		return h.ioctlNumber(m)
	}
	e, err := parser.ParseExpr(suffix.ReplaceAllString(text, "$1"))
	if err != nil {
		return 0, fmt.Errorf("expression %q: %w", text, err)
	}
	return h.value(e)
}

func (h *Header) value(e ast.Expr) (uint64, error) {
	switch e := e.(type) {
	case *ast.BasicLit:
		return strconv.ParseUint(e.Value, 0, 64)
	case *ast.ParenExpr:
		return h.value(e.X)
	case *ast.Ident:
		if v, ok := h.consts[e.Name]; ok {
			return v, nil
		}
		return 0, fmt.Errorf("%s is not defined before its use", e.Name)
	case *ast.BinaryExpr:
		return h.binary(e)
	}
	return 0, fmt.Errorf("unexpected %T in an expression", e)
}

func (h *Header) binary(e *ast.BinaryExpr) (uint64, error) {
	x, err := h.value(e.X)
	if err != nil {
		return 0, err
	}
	y, err := h.value(e.Y)
	if err != nil {
		return 0, err
	}
	switch {
	case e.Op == token.ADD:
		return x + y, nil
	case e.Op == token.SUB:
		return x - y, nil
	case e.Op == token.MUL:
		return x * y, nil
	case e.Op == token.QUO && y != 0:
		return x / y, nil
	case e.Op == token.SHL:
		return x << y, nil
	case e.Op == token.OR:
		return x | y, nil
	}
	return 0, fmt.Errorf("unexpected operator %s", e.Op)
}

func (h *Header) ioctlNumber(m []string) (uint64, error) {
	dir := map[string]uint64{"IOW": 1, "IOR": 2, "IOWR": 3}[m[1]]
	magic, err := h.eval(m[2])
	if err != nil {
		return 0, err
	}
	nr, err := strconv.ParseUint(m[3], 10, 8)
	if err != nil {
		return 0, err
	}
	size := scalars[m[4]]
	if st := h.structs[m[4]]; st != nil {
		size = st.Size
	}
	if size == 0 {
		return 0, fmt.Errorf("ioctl on the unknown type %s", m[4])
	}
	return dir<<30 | uint64(size)<<16 | magic<<8 | nr, nil
}
