package probe

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/mapwarden/mapwarden/internal/health"
)

// readsBody reports whether the status alone does not decide.
func readsBody(pr *health.Probe) bool { return pr.Contains != "" || pr.Match != "" || len(pr.JSON) > 0 }

// judgeBody reads as much of the body as is looked at, and completes the
// observation. It returns what is left to read, nil if that is not worth it.
func (a *attempt) judgeBody(resp *http.Response) io.Reader {
	pr := &a.target.Check.Probe
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if err != nil {
		a.bodyBroke(resp.StatusCode, len(body), err)
		return nil
	}
	if pr.Contains != "" && !bytes.Contains(body, []byte(pr.Contains)) {
		a.notFound(resp.StatusCode, len(body))
		return nil
	}
	if pr.Match != "" {
		switch re, err := a.p.expressions.get(pr.Match); {
		case err != nil:
			a.cannotTell(health.NotProbeable, err.Error())
			return nil
		case !re.Match(body):
			a.fail(health.BadBody, fmt.Sprintf("HTTP %d, the expression matches nothing in the first %d bytes of the body", resp.StatusCode, len(body)))
			return nil
		}
	}
	for _, f := range pr.JSON {
		switch got, err := fieldOf(body, f.Path); {
		case err != nil:
			a.fail(health.BadBody, fmt.Sprintf("HTTP %d, %s: %v", resp.StatusCode, f.Path, err))
			return nil
		case got != f.Equals:
			a.fail(health.BadBody, fmt.Sprintf("HTTP %d, %s is %q, not %q", resp.StatusCode, f.Path, got, f.Equals))
			return nil
		}
	}
	a.pass(passText(resp.StatusCode) + ", the body is as expected")
	return resp.Body
}

// bodyBroke completes the observation where the body could not be read.
func (a *attempt) bodyBroke(status, read int, err error) {
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		a.fail(health.Malformed, fmt.Sprintf("HTTP %d, the body ends after %d bytes, before its announced length", status, read))
	case faultOf(a.ctx, a.addr.Addr(), err).cause == health.LocalFault:
		a.fail(health.Malformed, fmt.Sprintf("HTTP %d, the body cannot be read: %v", status, err))
	default:
		a.broke("read the body", err)
	}
}

// fieldOf returns the text of a field of a JSON value. Of two fields with one
// name the first counts. What follows the field is not looked at: it may be
// beyond the bound.
func fieldOf(body []byte, path string) (string, error) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	for name := range strings.SplitSeq(path, ".") {
		if err := enter(d, name); err != nil {
			return "", err
		}
	}
	switch v, err := d.Token(); v := v.(type) {
	case string:
		return v, nil
	case json.Number:
		return v.String(), nil
	case bool:
		return strconv.FormatBool(v), nil
	case nil:
		if err != nil {
			return "", notJSON(err)
		}
		return "null", nil
	}
	return "", errors.New("it is not one value")
}

// enter moves d to the member of that name, or with that index, of the value
// that it stands before.
func enter(d *json.Decoder, name string) error {
	begin, err := d.Token()
	if err != nil {
		return notJSON(err)
	}
	switch begin {
	case json.Delim('{'):
		for d.More() {
			key, err := d.Token()
			switch {
			case err != nil:
				return notJSON(err)
			case key == name:
				return nil
			}
			if err := skip(d); err != nil {
				return err
			}
		}
	case json.Delim('['):
		index, err := strconv.ParseUint(name, 10, 16)
		for i := uint64(0); err == nil && d.More(); i++ {
			if i == index {
				return nil
			}
			if err := skip(d); err != nil {
				return err
			}
		}
	}
	if _, err := d.Token(); err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) {
		return notJSON(err)
	}
	return errors.New("the body has no such field")
}

// skip passes over one value. It goes by depth and does not recurse.
func skip(d *json.Decoder) error {
	for depth := 0; ; {
		t, err := d.Token()
		if err != nil {
			return notJSON(err)
		}
		switch t {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth == 0 {
			return nil
		}
	}
}

func notJSON(err error) error {
	if err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("the JSON of the body ends, or passes %d bytes, before it", maxBody)
	}
	return errors.New("the body is not JSON")
}

// expressions keeps compiled expressions. The zero value is usable; it may be
// used concurrently.
type expressions struct {
	mu   sync.Mutex
	kept map[string]*regexp.Regexp
}

const maxExpressions = 1000

func (e *expressions) get(text string) (*regexp.Regexp, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if re := e.kept[text]; re != nil {
		return re, nil
	}
	re, err := regexp.Compile(text)
	if err != nil {
		return nil, err
	}
	if e.kept == nil || len(e.kept) >= maxExpressions { // checks that came and went
		e.kept = map[string]*regexp.Regexp{}
	}
	e.kept[text] = re
	return re, nil
}
