package awsjson

import (
	"strconv"

	"github.com/mapwarden/mapwarden/internal/registry"
)

// scanQuery reads the input of DiscoverInstances as clients write it: each known
// member once, strings without escapes, a small number. Of anything else it
// says false, and the codec has to tell whether that is a request too.
func scanQuery(body []byte) (q registry.Query, ok bool) {
	s := scanner{body}
	var seen [7]bool
	once := func(i int) bool {
		again := seen[i]
		seen[i] = true
		return !again
	}
	ok = s.members(func(name []byte) bool {
		switch string(name) {
		case "NamespaceName":
			return s.text(&q.Namespace) && once(0)
		case "ServiceName":
			return s.text(&q.Service) && once(1)
		case "HealthStatus":
			return s.text((*string)(&q.Health)) && once(2)
		case "OwnerAccount":
			return s.text(&q.Owner) && once(3)
		case "MaxResults":
			return s.number(&q.Max) && once(4)
		case "QueryParameters":
			return s.texts(&q.Must) && once(5)
		case "OptionalParameters":
			return s.texts(&q.Prefer) && once(6)
		}
		return false
	})
	s.space()
	return q, ok && len(s.rest) == 0
}

// scanner reads the simple part of JSON. Its methods report whether what they
// read was there, and was simple.
type scanner struct{ rest []byte }

func (s *scanner) space() {
	for len(s.rest) > 0 && (s.rest[0] == ' ' || s.rest[0] == '\n' || s.rest[0] == '\t' || s.rest[0] == '\r') {
		s.rest = s.rest[1:]
	}
}

// next takes a character, and white space before it.
func (s *scanner) next(c byte) bool {
	s.space()
	if len(s.rest) == 0 || s.rest[0] != c {
		return false
	}
	s.rest = s.rest[1:]
	return true
}

// quoted takes a string without escapes.
func (s *scanner) quoted() ([]byte, bool) {
	if !s.next('"') {
		return nil, false
	}
	for i, c := range s.rest {
		if c == '"' {
			quoted := s.rest[:i]
			s.rest = s.rest[i+1:]
			return quoted, true
		}
		if !plain[c] {
			break
		}
	}
	return nil, false
}

func (s *scanner) text(into *string) bool {
	quoted, ok := s.quoted()
	*into = string(quoted)
	return ok
}

// number takes an integer of at most nine digits without a sign.
func (s *scanner) number(into **int32) bool {
	s.space()
	n := 0
	for n < len(s.rest) && n < 9 && s.rest[n] >= '0' && s.rest[n] <= '9' {
		n++
	}
	if n == 0 || n > 1 && s.rest[0] == '0' {
		return false
	}
	number, err := strconv.ParseInt(string(s.rest[:n]), 10, 32)
	s.rest = s.rest[n:]
	*into = new(int32(number))
	return err == nil
}

// members takes an object; member takes what stands at a name.
func (s *scanner) members(member func(name []byte) bool) bool {
	if !s.next('{') {
		return false
	}
	if s.next('}') {
		return true
	}
	for {
		name, ok := s.quoted()
		if !ok || !s.next(':') || !member(name) {
			return false
		}
		if s.next('}') {
			return true
		}
		if !s.next(',') {
			return false
		}
	}
}

// texts takes an object of strings.
func (s *scanner) texts(into *map[string]string) bool {
	*into = make(map[string]string)
	return s.members(func(name []byte) bool {
		var value string
		if !s.text(&value) {
			return false
		}
		(*into)[string(name)] = value
		return true
	})
}
