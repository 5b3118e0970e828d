package registry

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
)

// Document is a whole registry as one JSON text, to be kept, read by people, or
// moved: what ExportFile writes and ImportFile reads. A resource looks in it as
// it does in the file, except that it stands inside the one it belongs to.
// Operations are not in it: what they have to do is done.
type Document struct {
	Format  string `json:"format"`
	Version int    `json:"version"`
	Account string `json:"account"`
	Region  string `json:"region"`
	// Namespaces are in order of their creation.
	Namespaces []DocumentNamespace `json:"namespaces"`

	// Warning says what may be missing, where the file that it was read from is
	// damaged in a way that leaves that open. It is not written.
	Warning string `json:"-"`

	text []byte // it was parsed from this; nil where it was not
}

// DocumentNamespace is a namespace with its services, in order of their names.
type DocumentNamespace struct {
	Namespace
	Services []DocumentService `json:"services"`
}

// DocumentService is a service with its instances, in order of their ids.
type DocumentService struct {
	Service
	Instances []Instance `json:"instances"`
}

// What a document says that it is. Raise documentVersion when an older build
// would misread it.
const (
	documentFormat  = "mapwarden registry export"
	documentVersion = 1
)

// NewDocument makes a document of the resources of an account in a region.
func NewDocument(account, region string, namespaces []DocumentNamespace) *Document {
	return &Document{Format: documentFormat, Version: documentVersion, Account: account, Region: region, Namespaces: namespaces}
}

// Encode writes the document. The same registry always gives the same text.
func (d *Document) Encode(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(d); err != nil {
		return fmt.Errorf("encode the document: %w", err)
	}
	return nil
}

// Count says how many namespaces, services and instances are in the document.
func (d *Document) Count() Census {
	n := Census{Namespaces: len(d.Namespaces)}
	for _, ns := range d.Namespaces {
		n.Services += len(ns.Services)
		for _, svc := range ns.Services {
			n.Instances += len(svc.Instances)
		}
	}
	return n
}

// Census is a number of resources.
type Census struct{ Namespaces, Services, Instances int }

func (c Census) String() string {
	counted := func(n int, noun string) string {
		if n != 1 {
			noun += "s"
		}
		return fmt.Sprintf("%d %s", n, noun)
	}
	return counted(c.Namespaces, "namespace") + ", " + counted(c.Services, "service") + ", " + counted(c.Instances, "instance")
}

// Census says how many resources the registry has.
func (r *Registry) Census() Census {
	n := Census{Namespaces: len(r.published.namespaces.Load().sorted)}
	for _, cell := range *r.published.services.Load().sorted.Load() {
		n.Services++
		n.Instances += len(cell.view.Load().Instances)
	}
	return n
}

// Mistake is something wrong with a document, or in the way of its import.
type Mistake struct {
	Path string // of the JSON value, such as namespaces[0].services[2].name
	// Line and Column say where it stands in the text, from 1; 0 where there is
	// no text.
	Line, Column int
	What         string
}

// Error is "line:column: path: what".
func (m Mistake) Error() string {
	said := m.What
	if m.Path != "" {
		said = m.Path + ": " + said
	}
	if m.Line > 0 {
		said = fmt.Sprintf("%d:%d: %s", m.Line, m.Column, said)
	}
	return said
}

// Mistakes are all that was found, in the order of the document, as far as
// maxMistakes.
type Mistakes []Mistake

// maxMistakes bounds what one document can make us say.
const maxMistakes = 100

// Error is a line for each mistake.
func (ms Mistakes) Error() string {
	var lines bytes.Buffer
	for i, m := range ms {
		if i > 0 {
			lines.WriteByte('\n')
		}
		lines.WriteString(m.Error())
	}
	return lines.String()
}

func (ms *Mistakes) add(path, format string, args ...any) {
	if len(*ms) < maxMistakes {
		*ms = append(*ms, Mistake{Path: path, What: fmt.Sprintf(format, args...)})
	}
}

// ParseDocument reads a document. It takes nothing that it does not know, no
// member twice, and no value of the wrong kind; the error is then Mistakes. It
// does not look at what the values say: see Document.Check.
func ParseDocument(text []byte) (*Document, error) {
	var raw json.RawMessage
	if err := json.Unmarshal(text, &raw); err != nil {
		m := Mistake{What: "not JSON: " + err.Error()}
		if syntax, ok := err.(*json.SyntaxError); ok {
			m.Line, m.Column = position(text, max(syntax.Offset-1, 0))
		}
		return nil, Mistakes{m}
	}
	var head struct {
		Format  string `json:"format"`
		Version int    `json:"version"`
	}
	switch err := json.Unmarshal(text, &head); {
	case err != nil, head.Format != documentFormat:
		return nil, Mistakes{{Path: "format", What: fmt.Sprintf("the file is no export of a registry: that says %q here", documentFormat)}}
	case head.Version > documentVersion:
		return nil, Mistakes{{Path: "version", What: fmt.Sprintf("version %d is of a newer build; this build reads version %d", head.Version, documentVersion)}}
	case head.Version < 1:
		return nil, Mistakes{{Path: "version", What: fmt.Sprintf("%d is no version of an export", head.Version)}}
	}
	d := &Document{text: text}
	if ms := checkShape(text, d); len(ms) > 0 {
		return nil, ms
	}
	if err := json.Unmarshal(text, d); err != nil {
		return nil, Mistakes{{What: err.Error()}}
	}
	return d, nil
}

// placed says where the mistakes stand, and sorts them.
func (d *Document) placed(ms Mistakes) Mistakes {
	if d.text == nil || len(ms) == 0 {
		return ms
	}
	at := offsets(d.text, ms)
	for i, m := range ms {
		ms[i].Line, ms[i].Column = position(d.text, at[m.Path])
	}
	slices.SortStableFunc(ms, func(a, b Mistake) int { return int(at[a.Path] - at[b.Path]) })
	return ms
}
