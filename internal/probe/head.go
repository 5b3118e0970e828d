package probe

import "bytes"

// reading is what scanHead makes of bytes.
type reading uint8

const (
	partial reading = iota // fine so far
	whole
	unusual // it may be valid or not: net/http has to say
)

// scanHead reads the head of a final HTTP/1 response as most servers send it,
// without a copy. It takes for whole only what net/http's reader takes for
// valid as well, with the same status and the same body: everything less
// usual (odd line ends, folded or odd headers, interim responses, chunks, two
// lengths) is unusual. Head is how many bytes it takes, length the announced
// length of the body or -1.
func scanHead(b []byte) (status, head, length int, r reading) {
	const first = len("HTTP/1.1 200")
	length = -1
	line, rest, ok := cutLine(b)
	switch {
	case !ok && len(b) < maxLine:
		return 0, 0, 0, partialAs(b)
	case len(line) < first || string(line[:7]) != "HTTP/1." || line[7] != '1' && line[7] != '0' || line[8] != ' ':
		return 0, 0, 0, unusual
	case len(line) > first && line[first] != ' ' || !isPrintable(line):
		return 0, 0, 0, unusual
	}
	for _, d := range line[9:first] {
		if d < '0' || d > '9' {
			return 0, 0, 0, unusual
		}
		status = 10*status + int(d-'0')
	}
	if status < 200 {
		return 0, 0, 0, unusual
	}
	for {
		if line, rest, ok = cutLine(rest); !ok {
			return 0, 0, 0, partialAs(rest)
		}
		if len(line) == 0 {
			return status, len(b) - len(rest), length, whole
		}
		n, usual := scanHeader(line)
		switch {
		case !usual:
			return 0, 0, 0, unusual
		case n >= 0 && length >= 0:
			return 0, 0, 0, unusual
		case n >= 0:
			length = n
		}
	}
}

// maxLine is how long a line may be, without its end, to be waited for here.
const maxLine = 4096

// partialAs reports whether the begun line b may still become a usual one.
func partialAs(b []byte) reading {
	if len(b) >= maxLine || bytes.IndexByte(b, '\n') >= 0 {
		return unusual
	}
	return partial
}

// cutLine splits b after its first CR LF, which must be the first LF, too.
func cutLine(b []byte) (line, rest []byte, ok bool) {
	i := bytes.IndexByte(b, '\n')
	if i < 1 || b[i-1] != '\r' {
		return nil, b, false
	}
	return b[:i-1], b[i+1:], true
}

// scanHeader looks at one header line; length is that of Content-Length, else -1.
func scanHeader(line []byte) (length int, usual bool) {
	colon := bytes.IndexByte(line, ':')
	if colon < 1 || !isPrintable(line) {
		return -1, false
	}
	name := line[:colon]
	for _, c := range name {
		if c|0x20 < 'a' || c|0x20 > 'z' {
			if (c < '0' || c > '9') && c != '-' && c != '_' {
				return -1, false
			}
		}
	}
	if isWord(name) {
		return -1, false
	}
	switch len(name) {
	case len("Transfer-Encoding"):
		if bytes.EqualFold(name, []byte("Transfer-Encoding")) {
			return -1, false
		}
	case len("Content-Length"):
		if bytes.EqualFold(name, []byte("Content-Length")) {
			return scanLength(bytes.Trim(line[colon+1:], " \t"))
		}
	}
	return -1, true
}

func scanLength(digits []byte) (n int, usual bool) {
	if len(digits) == 0 || len(digits) > 15 {
		return -1, false
	}
	for _, d := range digits {
		if d < '0' || d > '9' {
			return -1, false
		}
		n = 10*n + int(d-'0')
	}
	return n, true
}

// isPrintable: ASCII without control characters, but tabs.
func isPrintable(b []byte) bool {
	for _, c := range b {
		if (c < ' ' || c > '~') && c != '\t' {
			return false
		}
	}
	return true
}
