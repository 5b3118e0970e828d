package awsjson_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/mapwarden/mapwarden/internal/component"
)

// model is AWS's own description of the service, which every botocore carries.
// The tests read it where it is installed, so that nobody's copy can be wrong.
type model struct {
	Operations map[string]struct {
		Input  struct{ Shape string }
		Errors []struct{ Shape string }
	}
	Shapes map[string]shape
}

// shape is a type of the model with its constraints.
type shape struct {
	Type       string
	Members    map[string]struct{ Shape string }
	Member     struct{ Shape string } // of a list
	Key, Value struct{ Shape string } // of a map
	Required   []string
	Min, Max   *int64
	Pattern    string
	Enum       []string
}

const where = `import botocore, os; print(os.path.join(os.path.dirname(botocore.__file__), "data", "servicediscovery", "2017-03-14"))`

// loadModel finds the model; without botocore the test ends.
func loadModel(t *testing.T) *model {
	t.Helper()
	python := component.Need(t, component.Boto3)
	dir, err := exec.Command(python, "-c", where).Output()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(strings.TrimSpace(string(dir)), "service-2.json")
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		raw, err = os.ReadFile(path + ".gz")
		if err == nil {
			raw, err = gunzip(raw)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	m := new(model)
	if err := json.Unmarshal(raw, m); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	m.limitServiceName()
	return m
}

func gunzip(raw []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

// limitServiceName reads the length that stands in the pattern of names.
func (m *model) limitServiceName() {
	s := m.Shapes["ServiceName"]
	if strings.Contains(s.Pattern, `(?=^.{1,127}$)`) {
		low, high := int64(1), int64(127)
		s.Min, s.Max = &low, &high
		m.Shapes["ServiceName"] = s
	}
}

// matches reports whether a value fits the pattern of the shape. Go's patterns
// look ahead at nothing, and what AWS's look ahead at is known.
func (s shape) matches(t *testing.T, value string) bool {
	if s.Pattern == "" {
		return true
	}
	const noARN = `(?!arn:)`
	if strings.Contains(s.Pattern, noARN) && strings.HasPrefix(value, "arn:") {
		return false
	}
	plain := strings.NewReplacer(noARN, "", `(?=^.{1,127}$)`, "").Replace(s.Pattern)
	for _, repeat := range []string{"{1,1024}", "{1,253}"} { // more than Go repeats, and Max says it
		plain = strings.ReplaceAll(plain, repeat, "+")
	}
	re, err := regexp.Compile(plain)
	if err != nil {
		t.Fatalf("pattern %s: %v", s.Pattern, err)
	}
	return re.MatchString(value)
}
