package config

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Mistake is one thing wrong with a file.
type Mistake struct {
	File   string // or the flag that is wrong
	Line   int    // from 1; 0 for a flag
	Column int    // from 1
	What   string
	Hint   string // how to mend it
}

// Error is "file:line:col: what; hint".
func (m Mistake) Error() string {
	if m.Line == 0 {
		return fmt.Sprintf("%s: %s; %s", m.File, m.What, m.Hint)
	}
	return fmt.Sprintf("%s:%d:%d: %s; %s", m.File, m.Line, m.Column, m.What, m.Hint)
}

// Mistakes are all that is wrong with a file, in its order.
type Mistakes []Mistake

// Error is a line for each mistake.
func (ms Mistakes) Error() string {
	lines := make([]string, len(ms))
	for i, m := range ms {
		lines[i] = m.Error()
	}
	return strings.Join(lines, "\n")
}

// maxMistakes bounds what one file can make us print.
const maxMistakes = 100

// err is nil without mistakes, or all of them in the order of the file.
func (r *reader) err() error {
	if len(r.mistakes) == 0 {
		return nil
	}
	slices.SortStableFunc(r.mistakes, func(a, b Mistake) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return r.mistakes
}

// nearest returns the candidate that name was probably meant to be, or "".
func nearest(name string, candidates []string) string {
	best, least := "", 3
	for _, c := range candidates {
		if d := distance(name, c); d < least && 2*d <= max(len(c), 2) {
			best, least = c, d
		}
	}
	return best
}

// distance counts the insertions, deletions, changes and swaps of neighbours
// between a and b; long texts are simply far apart.
func distance(a, b string) int {
	if len(a) > 40 || len(b) > 40 {
		return 40
	}
	before, row := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		next := make([]int, len(b)+1)
		next[0] = i
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			next[j] = min(row[j]+1, next[j-1]+1, row[j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], before[j-2]+1)
			}
		}
		before, row = row, next
	}
	return row[len(b)]
}

// clip bounds a text of the file to 40 characters.
func clip(s string) string {
	if runes := []rune(s); len(runes) > 40 {
		return string(runes[:40]) + "…"
	}
	return s
}

// quote shows a text of the file in one line.
func quote(s string) string { return strconv.Quote(clip(s)) }
