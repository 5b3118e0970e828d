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

// crossing is the place of the part that is more than most. It counts what
// begins a part in YAML, wherever it stands: a parser that takes its time for
// each is not asked first.
func crossing(data []byte, most int) (line, column int, ok bool) {
	for i, c := range data {
		switch c {
		case '\n', ',', ':', '[', '{':
		case '-', '?':
			if i+1 < len(data) && !bytes.ContainsRune([]byte(" \t\r\n"), rune(data[i+1])) {
				continue
			}
		default:
			continue
		}
		if most--; most < 0 {
			line, column = place(data, i)
			return line, column, true
		}
	}
	return 0, 0, false
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
