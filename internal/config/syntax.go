package config

import (
	"bytes"
	"regexp"
	"strconv"
	"strings"
)

var (
	yamlLine   = regexp.MustCompile(`^line (\d+): `)
	yamlAnchor = regexp.MustCompile(`^unknown anchor '([^']*)'`)
)

// syntax is what the YAML parser says, with the place that it often leaves out.
func syntax(name string, data []byte, err error) Mistake {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	m := Mistake{File: name, Line: 1, Column: 1, Hint: "look at the indentation and the quotes there"}
	if found := yamlLine.FindStringSubmatch(text); found != nil {
		text = text[len(found[0]):]
		if line, err := strconv.Atoi(found[1]); err == nil {
			m.Line = line
		}
		// The parser counts lines from 0, the scanner below it from 1.
		if strings.HasPrefix(text, "did not find expected") {
			m.Line++
		}
		m.Column = indent(data, m.Line) + 1
	} else if found := yamlAnchor.FindStringSubmatch(text); found != nil {
		m.Line, m.Column = place(data, bytes.Index(data, []byte("*"+found[1])))
		m.Hint = "write &" + clip(found[1]) + " before the value that it stands for"
	} else if strings.HasPrefix(text, "control characters") {
		m.Line, m.Column = place(data, bytes.IndexFunc(data, func(c rune) bool { return c < ' ' && c != '\n' && c != '\r' && c != '\t' || c == 0x7f }))
		m.Hint = "remove them"
	}
	m.What = "not YAML: " + text
	return m
}

// indent counts the blanks before the text of a line.
func indent(data []byte, line int) int {
	for range line - 1 {
		_, data, _ = bytes.Cut(data, []byte("\n"))
	}
	text, _, _ := bytes.Cut(data, []byte("\n"))
	return len(text) - len(bytes.TrimLeft(text, " \t"))
}

// place is the line and column of an offset.
func place(data []byte, offset int) (line, column int) {
	if offset < 0 {
		return 1, 1
	}
	before := data[:offset]
	return bytes.Count(before, []byte("\n")) + 1, offset - bytes.LastIndexByte(before, '\n')
}
