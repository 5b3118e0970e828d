package fleetsim

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mapwarden/mapwarden/internal/warden"
)

// divider stands between a script and the timeline that it is expected to give.
const divider = "----"

// ParseError is a mistake in a script.
type ParseError struct {
	Name      string
	Line, Col int // from 1; columns count bytes
	Text      string
}

func (e *ParseError) Error() string {
	return fmt.Sprintf("%s:%d:%d: %s", e.Name, e.Line, e.Col, e.Text)
}

// Parse reads a script. Its language is described in testdata/README.txt. The
// error is a *ParseError: the first mistake found.
func Parse(name, text string) (Story, error) {
	script, want, _ := strings.Cut(text, "\n"+divider+"\n")
	settings, _ := profile("local")
	p := &parser{
		story:  Story{Name: name, Text: strings.TrimRight(script, "\n") + "\n", Want: want, Settings: settings},
		exists: map[string]bool{},
	}
	for i, line := range strings.Split(script, "\n") {
		p.line(name, i+1, line)
		if p.err != nil {
			return Story{}, p.err
		}
	}
	for _, u := range p.uses {
		if !p.exists[u.id] && !p.launched(u.id) {
			return Story{}, &ParseError{name, u.line, u.col, "no service has an instance " + strconv.Quote(u.id)}
		}
	}
	if p.story.Length == 0 {
		return Story{}, &ParseError{name, strings.Count(script, "\n") + 1, 1, `the story has no end: it needs a line like "run 10m"`}
	}
	slices.SortStableFunc(p.story.actions, func(a, b action) int { return int(a.at - b.at) })
	return p.story, nil
}

// parser reads a script line by line.
type parser struct {
	story  Story
	exists map[string]bool // instances that the story begins with or registers
	uses   []use
	err    error // the first
}

// launched reports whether an owner may start an instance of that name.
func (p *parser) launched(id string) bool {
	cut := strings.LastIndexByte(id, '-')
	_, err := strconv.Atoi(id[cut+1:])
	return cut > 0 && err == nil && slices.ContainsFunc(p.story.Services, func(x ServiceStory) bool {
		return x.Owned && x.Name == id[:cut]
	})
}

// use is an instance that a statement speaks of.
type use struct {
	id        string
	line, col int
}

// token is a word of a line.
type token struct {
	text string
	col  int
}

// words are the words of one line that are not read yet.
type words struct {
	p    *parser
	name string
	line int
	rest []token
	end  int // column after the last word
}

func (p *parser) line(name string, n int, line string) {
	w := &words{p: p, name: name, line: n}
	code, _, _ := strings.Cut(line, "#")
	for i := 0; i < len(code); {
		if code[i] == ' ' || code[i] == '\t' || code[i] == '\r' {
			i++
			continue
		}
		end := i
		for end < len(code) && !strings.ContainsRune(" \t\r", rune(code[end])) {
			end++
		}
		w.rest = append(w.rest, token{code[i:end], i + 1})
		i = end
	}
	w.end = len(strings.TrimRight(code, " \t\r")) + 1
	if len(w.rest) == 0 {
		return
	}
	p.statement(w, strings.TrimSpace(code))
}

func (p *parser) statement(w *words, text string) {
	at, timed := time.Duration(-1), false
	if w.peek() == "at" {
		w.next("at")
		at, timed = w.span("a time like 2m30s"), true
		text = strings.TrimSpace(strings.TrimPrefix(text, "at"))
		_, text, _ = strings.Cut(text, " ")
		text = strings.TrimSpace(text)
	}
	first := w.next("a statement")
	switch verb := first.text; {
	case verb == "expect":
		here := w.took("here")
		p.story.expects = append(p.story.expects, expectation{at, here, w.line, text, parseExpect(w)})
	case actions[verb] != nil:
		if !timed {
			w.failAt(first.col, "%q needs a time: at 2m %s", verb, text)
		}
		p.story.actions = append(p.story.actions, action{at, w.line, text, actions[verb](w)})
	case timed:
		w.failAt(first.col, "%q is not one of %s", verb, strings.Join(sortedKeys(actions), ", "))
	case verb == "config":
		p.config(w)
	case verb == "service":
		p.service(w)
	case verb == "run":
		p.story.Length = w.span("a duration like 10m")
	default:
		w.failAt(first.col, "%q is not one of at, config, expect, run, service", verb)
	}
	if len(w.rest) > 0 {
		w.failAt(w.rest[0].col, "%q is one word too many", w.rest[0].text)
	}
}

// failAt notes a mistake; only the first one counts.
func (w *words) failAt(col int, format string, args ...any) {
	if w.p.err == nil {
		w.p.err = &ParseError{w.name, w.line, col, fmt.Sprintf(format, args...)}
	}
}

func (w *words) peek() string {
	if len(w.rest) == 0 {
		return ""
	}
	return w.rest[0].text
}

func (w *words) next(want string) token {
	if len(w.rest) == 0 {
		w.failAt(w.end, "%s is missing", want)
		return token{"", w.end}
	}
	t := w.rest[0]
	w.rest = w.rest[1:]
	return t
}

// took takes a word if it comes next.
func (w *words) took(word string) bool {
	if w.peek() != word {
		return false
	}
	w.rest = w.rest[1:]
	return true
}

func (w *words) span(want string) time.Duration {
	t := w.next(want)
	d, err := parseSpan(t.text)
	if err != nil {
		w.failAt(t.col, "%v", err)
	}
	return d
}

func (w *words) number(want string) int {
	t := w.next(want)
	n, err := strconv.Atoi(t.text)
	if err != nil || n < 0 {
		w.failAt(t.col, "%q is not a number", t.text)
	}
	return n
}

// oneOf takes a word that is a key of choices.
func oneOf[T any](w *words, want string, choices map[string]T) T {
	t := w.next(want)
	x, ok := choices[t.text]
	if !ok {
		w.failAt(t.col, "%q is not one of %s", t.text, strings.Join(sortedKeys(choices), ", "))
	}
	return x
}

// pair takes the next word apart at its equals sign.
func (w *words) pair() (key, value string, col int) {
	t := w.next("key=value")
	key, value, ok := strings.Cut(t.text, "=")
	if !ok || key == "" {
		w.failAt(t.col, "%q is not of the form key=value", t.text)
	}
	return key, value, t.col
}

// instances takes web-3, web-1..4 or web (all of that service, then).
func (w *words) instances() func(*sim) []*workload {
	t := w.next("an instance")
	for k, svc := range w.p.story.Services {
		if t.text == svc.Name {
			return func(s *sim) (all []*workload) {
				for _, x := range s.fleet.workloads {
					if x.svc == s.registry.services[k] {
						all = append(all, x)
					}
				}
				return all
			}
		}
	}
	head, last, ranged := strings.Cut(t.text, "..")
	ids := []string{head}
	if ranged {
		name, first := head[:strings.LastIndexByte(head, '-')+1], head[strings.LastIndexByte(head, '-')+1:]
		from, err := strconv.Atoi(first)
		to, err2 := strconv.Atoi(last)
		if err != nil || err2 != nil || to < from || to-from > 10000 {
			w.failAt(t.col, "%q is not a range like web-1..4", t.text)
			return nil
		}
		ids = ids[:0]
		for n := from; n <= to; n++ {
			ids = append(ids, name+strconv.Itoa(n))
		}
	}
	for _, id := range ids {
		w.p.uses = append(w.p.uses, use{id, w.line, t.col})
	}
	return func(s *sim) (found []*workload) {
		for _, id := range ids {
			if x := s.fleet.find(id); x != nil {
				found = append(found, x)
			}
		}
		return found
	}
}

// instance takes one instance.
func (w *words) instance() string {
	t := w.next("an instance")
	w.p.uses = append(w.p.uses, use{t.text, w.line, t.col})
	return t.text
}

// config reads key=value pairs for the whole story; a profile comes first.
func (p *parser) config(w *words) {
	if len(p.story.Services) > 0 {
		w.failAt(1, "config comes before the services")
	}
	for len(w.rest) > 0 && p.err == nil {
		key, value, col := w.pair()
		var err error
		switch {
		case key == "profile":
			s, ok := profile(value)
			if !ok {
				err = fmt.Errorf("%q is not one of %s", value, strings.Join(profiles, ", "))
			}
			s.Seed = p.story.Settings.Seed
			p.story.Settings = s
		case fleetKeys[key] != nil:
			err = fleetKeys[key](&p.story.Settings, value)
		case serviceKeys[key] != nil:
			err = serviceKeys[key](&p.story.Settings.Service, value)
		default:
			err = fmt.Errorf("unknown setting %q", key)
		}
		if err != nil {
			w.failAt(col, "%v", err)
		}
	}
}

var kinds = map[string]warden.HealthCheckKind{
	"none": warden.NoHealthCheck, "custom": warden.CustomHealthCheck, "route53": warden.Route53Check,
}

// service reads "service shop/web check=none instances=6 …".
func (p *parser) service(w *words) {
	t := w.next("a service like shop/web")
	svc := ServiceStory{Config: p.story.Settings.Service}
	var ok bool
	svc.Namespace, svc.Name, ok = strings.Cut(t.text, "/")
	switch {
	case !ok || svc.Namespace == "" || svc.Name == "":
		w.failAt(t.col, "%q is not of the form namespace/service", t.text)
	case slices.ContainsFunc(p.story.Services, func(x ServiceStory) bool { return x.Name == svc.Name }):
		w.failAt(t.col, "there is a service called %q already: instances are named after it", svc.Name)
	case len(p.story.Services) == 200:
		w.failAt(t.col, "a story has at most 200 services")
	}
	for len(w.rest) > 0 && p.err == nil {
		key, value, col := w.pair()
		var err error
		switch {
		case key == "check":
			if svc.Kind, ok = kinds[value]; !ok {
				err = fmt.Errorf("%q is not one of %s", value, strings.Join(sortedKeys(kinds), ", "))
			}
		case key == "instances":
			if svc.Instances, err = strconv.Atoi(value); err != nil || svc.Instances < 0 || svc.Instances > 10000 {
				err = fmt.Errorf("%q is not a number of instances", value)
			}
		case key == "zones":
			svc.Zones = strings.Split(value, ",")
		case key == "init" && (value == "HEALTHY" || value == "UNHEALTHY"):
			svc.Init = value
		case key == "down" && value == "yes":
			svc.Down = true
		case key == "account" && value == "other":
			svc.OtherAccount = true
		case key == "port" && value == "none":
			svc.NoPort = true
		case key == "clients" && value == "least-request":
			svc.LeastRequest = true
		case key == "owner" && value == "ecs":
			svc.Owned = true
		case key == "writes_health" && value == "yes":
			svc.WritesHealth = true
		case serviceKeys[key] != nil:
			err = serviceKeys[key](&svc.Config, value)
		default:
			err = fmt.Errorf("unknown setting %q", key+"="+value)
		}
		if err != nil {
			w.failAt(col, "%v", err)
		}
	}
	svc.Config = p.story.Settings.complete(svc.Config)
	for n := 1; n <= svc.Instances; n++ {
		p.exists[fmt.Sprintf("%s-%d", svc.Name, n)] = true
	}
	p.story.Services = append(p.story.Services, svc)
}
