package access

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// canonicalRequest is the text whose hash is signed, made from a request as it
// came and from those headers alone that the client says it signed.
func canonicalRequest(r *http.Request, host string, headers []string, payload string) string {
	var b strings.Builder
	b.WriteString(r.Method)
	b.WriteByte('\n')
	b.WriteString(cmp.Or(escape(r.URL.EscapedPath(), "/"), "/"))
	b.WriteByte('\n')
	b.WriteString(canonicalQuery(r.URL.RawQuery))
	b.WriteByte('\n')
	for _, name := range headers {
		b.WriteString(name)
		b.WriteByte(':')
		b.WriteString(canonicalHeader(r, host, name))
		b.WriteByte('\n')
	}
	b.WriteByte('\n')
	b.WriteString(strings.Join(headers, ";"))
	b.WriteByte('\n')
	b.WriteString(payload)
	return b.String()
}

// canonicalHeader is the value of a header, or of what net/http makes of it.
func canonicalHeader(r *http.Request, host, name string) string {
	values := r.Header.Values(name)
	switch {
	case name == "host":
		values = []string{host}
	case name == "content-length" && len(values) == 0 && r.ContentLength >= 0:
		values = []string{strconv.FormatInt(r.ContentLength, 10)}
	}
	if len(values) == 1 && !strings.Contains(values[0], "  ") {
		return strings.TrimSpace(values[0])
	}
	plain := make([]string, len(values))
	for i, v := range values {
		plain[i] = strings.Join(strings.FieldsFunc(v, func(c rune) bool { return c == ' ' }), " ")
	}
	return strings.Join(plain, ",")
}

// canonicalQuery sorts and escapes anew. Cloud Map's requests have no query,
// and one that is there is signed like the rest.
func canonicalQuery(raw string) string {
	var pairs [][2]string
	for pair := range strings.SplitSeq(raw, "&") {
		if pair != "" {
			name, value, _ := strings.Cut(pair, "=")
			pairs = append(pairs, [2]string{requote(name), requote(value)})
		}
	}
	slices.SortFunc(pairs, func(a, b [2]string) int { return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1])) })
	var b strings.Builder
	for i, p := range pairs {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(p[0] + "=" + p[1])
	}
	return b.String()
}

// requote gives an escaped word the one spelling that signatures know.
func requote(word string) string {
	plain, err := url.PathUnescape(word)
	if err != nil {
		plain = word
	}
	return escape(plain, "")
}

// escape writes all but the unreserved characters of RFC 3986, and those of
// keep, as %XX.
func escape(s, keep string) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~", c) >= 0 || strings.IndexByte(keep, c) >= 0 {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(digits[c>>4])
		b.WriteByte(digits[c&15])
	}
	return b.String()
}

func stringToSign(at, scope, canonical string) string {
	hash := sha256.Sum256([]byte(canonical))
	return algorithm + "\n" + at + "\n" + scope + "\n" + hex.EncodeToString(hash[:])
}

func sum(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// derive makes the key that signs within a scope.
func derive(secret, day, region, service string) []byte {
	key := []byte("AWS4" + secret)
	for _, part := range []string{day, region, service, terminator} {
		key = sum(key, part)
	}
	return key
}
