package registry

import (
	"cmp"
	"encoding/base64"
	"slices"
	"strings"
)

// Page asks for a part of a listing. The zero value asks for the first 100.
type Page struct {
	Token string // NextToken of the page before; empty for the first
	Max   *int32 // MaxResults, 1 to 100; nil is 100
}

// cutPage returns the page of items, which are sorted by a key without zero
// bytes, and the token of the next page, empty after the last. The token holds
// the last key, so items that come and go between pages disturb nothing else.
func cutPage[T any](page Page, kind string, items []T, key func(T) string) ([]T, string, error) {
	most := defaultListPage
	if page.Max != nil {
		if err := between("MaxResults", int64(*page.Max), 1, maxListResults); err != nil {
			return nil, "", err
		}
		most = int(*page.Max)
	}
	if page.Token != "" {
		after, err := openToken(kind, page.Token)
		if err != nil {
			return nil, "", err
		}
		at, found := slices.BinarySearchFunc(items, after, func(item T, key_ string) int { return cmp.Compare(key(item), key_) })
		if found {
			at++
		}
		items = items[at:]
	}
	if len(items) <= most {
		return items, "", nil
	}
	return items[:most], sealToken(kind, key(items[most-1])), nil
}

func sealToken(kind, last string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(kind + "\x00" + last))
}

func openToken(kind, token string) (string, error) {
	if err := optional("NextToken", token, maxNextToken); err != nil {
		return "", err
	}
	raw, err := base64.RawURLEncoding.DecodeString(token)
	last, ours := strings.CutPrefix(string(raw), kind+"\x00")
	if err != nil || !ours {
		return "", invalid("NextToken", "%.64q was not returned by this operation", token)
	}
	return last, nil
}

// keep returns the items that match; nil when match is nil means all. Where all
// match, what it returns is items.
func keep[T any](items []T, match func(T) bool) []T {
	if match == nil {
		return items
	}
	for i, item := range items {
		if !match(item) {
			return keepRest(items, i, match)
		}
	}
	return items
}

// keepRest is keep where items[:n] match and items[n] does not.
func keepRest[T any](items []T, n int, match func(T) bool) []T {
	kept := append(make([]T, 0, len(items)-1), items[:n]...)
	for _, item := range items[n+1:] {
		if match(item) {
			kept = append(kept, item)
		}
	}
	return kept
}
