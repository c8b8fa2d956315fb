// SPDX-License-Identifier: Apache-2.0

package main

import (
	"regexp"
	"strings"
)

var (
	comments   = regexp.MustCompile(`(?s)/\*.*?\*/|//[^\n]*`)
	directives = regexp.MustCompile(`(?m)^[ \t]*#(?:[^\n]*\\\n)*[^\n]*$`)
	externC    = regexp.MustCompile(`extern\s+"C"\s*\{`)
	attributes = regexp.MustCompile(`__attribute_?_?(?:const__)?\s*\(\(.*?\)\)|__attribute_const`)
	function   = regexp.MustCompile(`^(?:static inline )?((?:[\w*]+[ *]+)+\**)((?:ibv|rdma)_\w+) ?\((.*)\)$`)
)

// prototypes returns the functions that a C header declares or defines: the
// whole prototype by name, in one spelling.
func prototypes(header string) map[string]string {
	text := comments.ReplaceAllString(header, " ")
	text = directives.ReplaceAllString(text, "")
	text = externC.ReplaceAllString(text, " ")
	found := map[string]string{}
	for _, s := range statements(text) {
		if name, proto, ok := parse(s); ok {
			found[name] = proto
		}
	}
	return found
}

// statements splits C at the semicolons and bodies of its outermost level.
func statements(text string) []string {
	var all []string
	depth, start := 0, 0
	for i, c := range text {
		switch {
		case c == '{':
			if depth == 0 {
				all = append(all, text[start:i])
			}
			depth++
		case c == '}':
			depth = max(0, depth-1)
			start = i + 1
		case c == ';' && depth == 0:
			all = append(all, text[start:i])
			start = i + 1
		}
	}
	return all
}

// parse takes a prototype apart and spells it in one way.
func parse(s string) (name, proto string, ok bool) {
	s = attributes.ReplaceAllString(s, "")
	s = strings.TrimSuffix(strings.Join(strings.Fields(s), " "), ";")
	m := function.FindStringSubmatch(strings.TrimSpace(s))
	if m == nil || strings.HasPrefix(m[1], "typedef") || strings.HasPrefix(m[1], "return") {
		return "", "", false
	}
	args := strings.ReplaceAll(m[3], "* ", "*")
	return m[2], strings.TrimRight(m[1], " ") + gap(m[1]) + m[2] + "(" + args + ")", true
}

// gap is the space between a type and a name: none after a star.
func gap(typ string) string {
	if strings.HasSuffix(strings.TrimRight(typ, " "), "*") {
		return ""
	}
	return " "
}
