package registry_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mapwarden/mapwarden/internal/registry"
)

// small is a document with two namespaces, of which the second has a service.
const small = `{
  "format": "mapwarden registry export",
  "version": 1,
  "account": "123456789012",
  "region": "eu-west-1",
  "namespaces": [
    {
      "id": "ns-one", "name": "corp", "type": "DNS_PRIVATE", "httpName": "corp",
      "createDate": "2026-01-02T03:04:05Z", "vpc": "vpc-1", "services": []
    },
    {
      "id": "ns-two", "name": "shop", "type": "HTTP", "httpName": "shop",
      "createDate": "2026-01-02T03:04:06Z", "tags": {"team": "blue"},
      "services": [
        {
          "id": "srv-api", "name": "api", "type": "HTTP", "createDate": "2026-01-02T03:04:07Z",
          "customHealth": true, "revision": 7,
          "instances": [
            {"id": "i-1", "attributes": {"AWS_INSTANCE_IPV4": "10.0.0.1"}, "health": "HEALTHY"}
          ]
        }
      ]
    }
  ]
}
`

func TestMistakesInADocument(t *testing.T) {
	for name, tt := range map[string]struct{ old, new, says string }{
		"no JSON":           {`"version": 1,`, `"version": 1`, "4:3: not JSON: invalid character '\"' after object key:value pair"},
		"cut short":         {small[len(small)/2:], "", ": not JSON: unexpected end of JSON input"},
		"something else":    {"mapwarden registry export", "dashboard", "format: the file is no export of a registry"},
		"newer":             {`"version": 1,`, `"version": 2,`, "version: version 2 is of a newer build; this build reads version 1"},
		"older than any":    {`"version": 1,`, ``, "version: 0 is no version of an export"},
		"account":           {"123456789012", "12", `4:14: account: "12" does not have 12 digits`},
		"region":            {"eu-west-1", "EU", `5:13: region: "EU" is no name of a region`},
		"unknown member":    {`"vpc": "vpc-1"`, `"vpcs": "vpc-1"`, `9:45: namespaces[0].vpcs: is not known here`},
		"member twice":      {`"vpc": "vpc-1"`, `"vpc": "vpc-1", "vpc": "vpc-2"`, "9:61: namespaces[0].vpc: stands twice in the same object"},
		"key twice":         {`"team": "blue"`, `"team": "blue", "team": "red"`, "namespaces[1].tags.team: stands twice"},
		"a kind":            {`"revision": 7`, `"revision": "7"`, "17:45: namespaces[1].services[0].revision: is a string, and should be a whole number"},
		"a fraction":        {`"revision": 7`, `"revision": 7.5`, "revision: is a number 7.5, and should be a whole number"},
		"an object":         {`"services": []`, `"services": {}`, "namespaces[0].services: is an object, and should be a list"},
		"a list":            {`{"team": "blue"}`, `["team"]`, "namespaces[1].tags: is a list, and should be an object"},
		"a scalar":          {`{"team": "blue"}`, `"team"`, "namespaces[1].tags: should be an object"},
		"a time":            {"2026-01-02T03:04:06Z", "yesterday", "namespaces[1].createDate: parsing time"},
		"a status":          {`"health": "HEALTHY"`, `"health": "WELL"`, `19:86: namespaces[1].services[0].instances[0].health: "WELL" is not a health status`},
		"null":              {`{"id": "i-1", "attributes": {"AWS_INSTANCE_IPV4": "10.0.0.1"}, "health": "HEALTHY"}`, "null", "19:13: namespaces[1].services[0].instances[0].id: is required"},
		"namespace id":      {"ns-one", "ns-one/two", `8:13: namespaces[0].id: "ns-one/two" is not ns- with`},
		"namespace type":    {"DNS_PRIVATE", "DNS", `namespaces[0].type: "DNS" is none of`},
		"namespace name":    {`"name": "shop"`, `"name": "the shop"`, `12:31: namespaces[1].name: "the shop" may only have printable`},
		"no HTTP name":      {`"httpName": "shop",`, ``, `namespaces[1].httpName: "" is not`},
		"no date":           {`"createDate": "2026-01-02T03:04:06Z",`, ``, "11:5: namespaces[1].createDate: is required"},
		"no VPC":            {`"vpc": "vpc-1", `, ``, "7:5: namespaces[0].vpc: is required"},
		"VPC for HTTP":      {`"tags": {"team": "blue"}`, `"vpc": "vpc-1"`, "namespaces[1].type: an HTTP namespace has no vpc"},
		"tag":               {`"team": "blue"`, `"aws:team": "blue"`, "13:53: namespaces[1].tags: aws:team: keys that begin with aws:"},
		"namespace twice":   {"ns-two", "ns-one", "namespaces[1].id: ns-one stands twice"},
		"HTTP name twice":   {`"httpName": "shop"`, `"httpName": "corp"`, "namespaces[1].httpName: the HTTP name corp is taken by namespaces[0].httpName"},
		"service id":        {"srv-api", "api", `namespaces[1].services[0].id: "api" is not srv- with`},
		"service name":      {`"name": "api"`, `"name": "-"`, `namespaces[1].services[0].name: "-" is not made of labels`},
		"service elsewhere": {`"revision": 7`, `"namespaceId": "ns-one"`, `services[0].namespaceId: "ns-one" is not ns-two, in which the service stands`},
		"service type":      {`"type": "HTTP", "createDate"`, `"type": "DNS_HTTP", "createDate"`, `services[0].type: "DNS_HTTP" is not HTTP`},
		"records for HTTP": {`"type": "HTTP", "createDate"`, `"type": "DNS_HTTP", "dns": {"routingPolicy": "", "records": [{"type": "A", "ttl": 5}]}, "createDate"`,
			"services[0].dns: namespace ns-two is an HTTP namespace and has no DNS records"},
		"revision":          {`"revision": 7`, `"revision": -7`, "services[0].revision: is negative"},
		"address":           {"10.0.0.1", "10.0.0", `19:41: namespaces[1].services[0].instances[0].attributes: AWS_INSTANCE_IPV4 "10.0.0" is not an IPv4 address`},
		"EC2 alone":         {`AWS_INSTANCE_IPV4": "10.0.0.1"`, `AWS_EC2_INSTANCE_ID": "i-0"`, "attributes: AWS_EC2_INSTANCE_ID stands without the AWS_INSTANCE_IPV4"},
		"no check":          {`"customHealth": true, `, "", "instances[0].health: HEALTHY: service srv-api has no health check"},
		"no status":         {`"health": "HEALTHY"`, `"health": "UNKNOWN"`, "instances[0].health: is neither HEALTHY nor UNHEALTHY"},
		"change to nothing": {`"health": "HEALTHY"`, `"health": "HEALTHY", "change": {"to": "HEALTHY", "due": "2026-01-02T03:04:05Z"}`, "instances[0].change: does not lead from HEALTHY to the other status"},
		"change some day":   {`"health": "HEALTHY"`, `"health": "HEALTHY", "change": {"to": "UNHEALTHY"}`, "instances[0].change.due: is required"},
		"instance twice":    {`"health": "HEALTHY"}`, `"health": "HEALTHY"}, {"id": "i-1", "attributes": {}, "health": "HEALTHY"}`, "instances[1].id: i-1 stands twice"},
		"instance id":       {"i-1", "i 1", `instances[0].id: "i 1" may only have letters`},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "registry.db")
			text := strings.Replace(small, tt.old, tt.new, 1)
			if text == small {
				t.Fatal("nothing was changed")
			}
			d, err := registry.ParseDocument([]byte(text))
			if err == nil {
				_, err = registry.ImportFile(path, d, registry.ImportOptions{})
			}
			var mistakes registry.Mistakes
			if !errors.As(err, &mistakes) || len(mistakes) == 0 || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("error = %v, want one with %q", err, tt.says)
			}
			if _, err := os.Stat(path); err == nil {
				t.Error("a file was made all the same")
			}
		})
	}
}

// TestAllMistakesAreSaid: in the order of the text, and not without end.
func TestAllMistakesAreSaid(t *testing.T) {
	text := strings.NewReplacer("ns-two", "two", "srv-api", "api", "vpc-1", "").Replace(small)
	d := must[*registry.Document](t)(registry.ParseDocument([]byte(text)))
	const want = `9:52: namespaces[0].vpc: is required
12:13: namespaces[1].id: "two" is not ns- with letters and digits`
	if err := d.Check(); err == nil || err.Error() != want {
		t.Errorf("mistakes:\n%v\nwant:\n%s", err, want)
	}
	many := strings.Replace(small, `"tags": {`, `"tags": {`+strings.Repeat(`"k": "v", `, 5000), 1)
	var mistakes registry.Mistakes
	if _, err := registry.ParseDocument([]byte(many)); !errors.As(err, &mistakes) || len(mistakes) != 100 {
		t.Errorf("%d mistakes, want 100", len(mistakes))
	}
}

func TestImportWithoutTheExtras(t *testing.T) {
	path := filepath.Join(t.TempDir(), "registry.db")
	text := strings.Replace(small, `"AWS_INSTANCE_IPV4": "10.0.0.1"`, `"AWS_INSTANCE_IPV4": "10.0.0.1", "AWS_EC2_INSTANCE_ID": "i-0"`, 1)
	text = strings.Replace(text, `, "revision": 7`, ``, 1)
	imported(t, path, []byte(text), registry.ImportOptions{})
	r := open(t, registry.Options{Path: path})
	view := r.View("srv-api")
	if got := view.Instance("i-1").Attributes.Get(registry.AttrEC2); got != "i-0" {
		t.Errorf("the EC2 instance id is %q", got)
	}
	if view.Revision != view.CreateDate.UnixMilli() {
		t.Errorf("revision %d", view.Revision)
	}
}

// TestMerge imports into a registry that has something already.
func TestMerge(t *testing.T) {
	for name, tt := range map[string]struct {
		old, new string
		how      registry.ImportOptions
		says     string // the error; empty: it works
		adds     registry.Census
	}{
		"not asked for":         {how: registry.ImportOptions{}, says: "the registry is not empty: it has 2 namespaces, 1 service, 1 instance"},
		"the same":              {how: registry.ImportOptions{Merge: true}},
		"another instance":      {old: "i-1", new: "i-2", how: registry.ImportOptions{Merge: true}, adds: registry.Census{Instances: 1}},
		"revision moved on":     {old: `"revision": 7`, new: `"revision": 9`, how: registry.ImportOptions{Merge: true}},
		"another tag":           {old: "blue", new: "red", how: registry.ImportOptions{Merge: true}, says: "11:5: namespaces[1]: namespace ns-two is there already, and differs"},
		"another text":          {old: `"customHealth": true, `, new: `"customHealth": true, "description": "x", `, how: registry.ImportOptions{Merge: true}, says: "service srv-api is there already, and differs"},
		"another address":       {old: "10.0.0.1", new: "10.0.0.2", how: registry.ImportOptions{Merge: true}, says: "19:13: namespaces[1].services[0].instances[0]: instance i-1 of service srv-api is there already, and differs"},
		"another health":        {old: `"health": "HEALTHY"`, new: `"health": "UNHEALTHY"`, how: registry.ImportOptions{Merge: true}, says: "instance i-1 of service srv-api is there already, and differs"},
		"another id":            {old: "srv-api", new: "srv-new", how: registry.ImportOptions{Merge: true}, says: "services[0].name: the name api is taken by srv-api"},
		"another namespace id":  {old: "ns-two", new: "ns-new", how: registry.ImportOptions{Merge: true}, says: "namespaces[1].httpName: the HTTP name shop is taken by ns-two"},
		"another zone id":       {old: `"id": "ns-one", "name": "corp", "type": "DNS_PRIVATE", "httpName": "corp"`, new: `"id": "ns-new", "name": "Corp", "type": "DNS_PRIVATE", "httpName": "corp-2"`, how: registry.ImportOptions{Merge: true}, says: "namespaces[0].name: the name Corp is taken by ns-one"},
		"another account":       {old: "123456789012", new: "111111111111", how: registry.ImportOptions{Merge: true}, says: "the document is of account 111111111111 in eu-west-1, the registry of account 123456789012 in eu-west-1"},
		"another account taken": {old: "123456789012", new: "111111111111", how: registry.ImportOptions{Merge: true, Adopt: true}},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "registry.db")
			imported(t, path, []byte(small), registry.ImportOptions{})
			before := exported(t, path)
			d := must[*registry.Document](t)(registry.ParseDocument([]byte(strings.Replace(small, tt.old, tt.new, 1))))
			done, err := registry.ImportFile(path, d, tt.how)
			after := exported(t, path)
			if tt.says != "" {
				if err == nil || !strings.Contains(err.Error(), tt.says) {
					t.Errorf("error = %v, want %q", err, tt.says)
				}
				if !bytes.Equal(before, after) {
					t.Error("something was written all the same")
				}
				return
			}
			if err != nil || done.Added != tt.adds || done.Account != "123456789012" {
				t.Errorf("%+v, %v", done, err)
			}
			if changed := !bytes.Equal(before, after); changed != (tt.adds != registry.Census{}) {
				t.Errorf("changed: %v", changed)
			}
			if tt.adds.Instances == 0 {
				return
			}
			r := open(t, registry.Options{Path: path})
			if view := r.View("srv-api"); len(view.Instances) != 2 || view.Revision <= 7 {
				t.Errorf("%d instances at revision %d", len(view.Instances), view.Revision)
			}
		})
	}
}

// TestOwner: whose a registry is stays in its file, goes with an import into an
// empty one, and can be overruled.
func TestOwner(t *testing.T) {
	document := must[*registry.Document](t)(registry.ParseDocument([]byte(small)))
	for name, tt := range map[string]struct {
		file *registry.Options // of the file that is there before; nil: none
		how  registry.ImportOptions
		want string
	}{
		"no file":               {nil, registry.ImportOptions{}, "123456789012 eu-west-1"},
		"no file, adopted":      {nil, registry.ImportOptions{Adopt: true}, "000000000000 us-east-1"},
		"an empty one":          {&registry.Options{}, registry.ImportOptions{}, "123456789012 eu-west-1"},
		"another's":             {&registry.Options{Account: "222222222222"}, registry.ImportOptions{}, "123456789012 eu-west-1"},
		"another's, and adopts": {&registry.Options{Account: "222222222222", Region: "x-1"}, registry.ImportOptions{Adopt: true}, "222222222222 x-1"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "registry.db")
			if tt.file != nil {
				tt.file.Path = path
				if err := open(t, *tt.file).Close(); err != nil {
					t.Fatal(err)
				}
			}
			done := must[registry.Imported](t)(registry.ImportFile(path, document, tt.how))
			if got := done.Account + " " + done.Region; got != tt.want {
				t.Errorf("imported as %s, want %s", got, tt.want)
			}
			r := open(t, registry.Options{Path: path})
			if got := r.Account() + " " + r.Region(); got != tt.want {
				t.Errorf("opened as %s, want %s", got, tt.want)
			}
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			r = open(t, registry.Options{Path: path, Account: "333333333333"})
			if got := fmt.Sprint(r.Account()); got != "333333333333" {
				t.Errorf("opened as %s, though another was asked for", got)
			}
		})
	}
}

func TestExportWhereThereIsNothing(t *testing.T) {
	dir := t.TempDir()
	if _, err := registry.ExportFile(filepath.Join(dir, "none.db")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("of no file: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "none.db")); err == nil {
		t.Error("the file was made")
	}
	path := filepath.Join(dir, "registry.db")
	r := open(t, registry.Options{Path: path})
	if _, err := registry.ExportFile(path); !errors.Is(err, registry.ErrInUse) {
		t.Errorf("of a file in use: %v", err)
	}
	if _, err := registry.ImportFile(path, registry.NewDocument("123456789012", "x", nil), registry.ImportOptions{}); !errors.Is(err, registry.ErrInUse) {
		t.Errorf("into a file in use: %v", err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	const want = `{
  "format": "mapwarden registry export",
  "version": 1,
  "account": "000000000000",
  "region": "us-east-1",
  "namespaces": []
}
`
	if got := string(exported(t, path)); got != want {
		t.Errorf("an empty registry is\n%s", got)
	}
}

func FuzzParseDocument(f *testing.F) {
	f.Add([]byte(small))
	f.Fuzz(func(t *testing.T, text []byte) {
		d, err := registry.ParseDocument(text)
		if err == nil {
			err = d.Check()
		}
		var mistakes registry.Mistakes
		if err != nil && !errors.As(err, &mistakes) {
			t.Errorf("an error that is no list of mistakes: %v", err)
		}
	})
}
