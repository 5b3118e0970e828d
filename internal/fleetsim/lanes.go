package fleetsim

import "strings"

// wakes reports whether a checker of several began to live just now: it is of
// no interest that it knows nothing yet, and then hears of the others.
func (s *sim) wakes(c *checker) bool {
	return len(s.checkers) > 1 && c.proc != nil && s.now-c.proc.born <= 2*s.story.Settings.Service.Check.Interval
}

// lanes draws how the checkers are, one letter for each, where there are
// several: the name of the one that a line is about (in capitals if it leads),
// and of the others # for the one that leads, | for one that runs, z for one
// that stands still and a blank for one that is down.
func (s *sim) lanes(about *checker) string {
	if len(s.checkers) < 2 {
		return ""
	}
	var b strings.Builder
	for _, c := range s.checkers {
		leads := c.proc != nil && c.proc.tenure.leads
		switch {
		case c == about && leads:
			b.WriteString(strings.ToUpper(c.name[:1]))
		case c == about:
			b.WriteString(c.name[:1])
		case c.proc == nil:
			b.WriteByte(' ')
		case c.proc.paused:
			b.WriteByte('z')
		case leads:
			b.WriteByte('#')
		default:
			b.WriteByte('|')
		}
	}
	return b.String()
}
