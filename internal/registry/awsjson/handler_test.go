package awsjson_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mapwarden/mapwarden/internal/registry"
	"github.com/mapwarden/mapwarden/internal/registry/awsjson"
)

const target = "Route53AutoNaming_v20170314."

func TestProtocol(t *testing.T) {
	reg, err := registry.Open(registry.Options{})
	if err != nil {
		t.Fatal(err)
	}
	handler := awsjson.New(reg)
	for _, tt := range []struct {
		name, method, url, target, origin, body string
		status                                  int
		code, says                              string // __type, part of the body
	}{
		{"hint", "GET", "/", "", "", "", 200, "", "servicediscovery list-namespaces"},
		{"other path", "GET", "/x", "", "", "", 405, "", "POST"},
		{"foreign page", "POST", "/", target + "ListNamespaces", "http://evil.example", "{}", 403, "", "web pages"},
		{"foreign site through us", "GET", "http://example.com/", "", "", "", 502, "", "no general proxy"},
		{"absolute form", "POST", "http://data-anything/", target + "ListNamespaces", "", "{}", 200, "", `{"Namespaces":[]}`},
		{"no target", "POST", "/", "", "", "{}", 400, "UnknownOperationException", "X-Amz-Target"},
		{"other service", "POST", "/", "DynamoDB_20120810.ListTables", "", "{}", 400, "UnknownOperationException", "DynamoDB"},
		{"unknown operation", "POST", "/", target + "Explode", "", "{}", 400, "UnknownOperationException", "Explode"},
		{"empty body", "POST", "/", target + "ListNamespaces", "", "", 200, "", "Namespaces"},
		{"no JSON", "POST", "/", target + "ListNamespaces", "", "{", 400, "SerializationException", "not JSON"},
		{"more than JSON", "POST", "/", target + "ListNamespaces", "", "{}{}", 400, "SerializationException", "follows"},
		{"no object", "POST", "/", target + "ListNamespaces", "", "[]", 400, "SerializationException", "must be an object, not a list"},
		{"wrong type", "POST", "/", target + "GetService", "", `{"Id":7}`, 400, "SerializationException", "Id must be a string, not a number"},
		{"wrong type deep", "POST", "/", target + "ListNamespaces", "", `{"Filters":[{"Values":[true]}]}`, 400, "SerializationException", "Values[0] must be a string, not a boolean"},
		{"no integer", "POST", "/", target + "ListNamespaces", "", `{"MaxResults":1.5}`, 400, "SerializationException", "MaxResults: 1.5"},
		{"too large a number", "POST", "/", target + "ListNamespaces", "", `{"MaxResults":4294967296}`, 400, "SerializationException", "32 bits"},
		{"null in a list", "POST", "/", target + "UntagResource", "", `{"TagKeys":[null]}`, 400, "SerializationException", "TagKeys[0] is null"},
		{"null in a map", "POST", "/", target + "RegisterInstance", "", `{"Attributes":{"a":null}}`, 400, "SerializationException", "a is null"},
		{"null is absent", "POST", "/", target + "GetService", "", `{"Id":null}`, 400, "InvalidInput", "Id: is required"},
		{"other case is another name", "POST", "/", target + "GetService", "", `{"id":"srv-x"}`, 400, "InvalidInput", "Id: is required"},
		{"unknown member", "POST", "/", target + "ListNamespaces", "", `{"Colour":"red"}`, 200, "", "Namespaces"},
		{"too large", "POST", "/", target + "ListNamespaces", "", `{"NextToken":"` + strings.Repeat("x", 1<<20) + `"}`, 413, "RequestEntityTooLargeException", "bytes"},
		{"no TTL", "POST", "/", target + "CreateService", "", `{"Name":"a","DnsConfig":{"DnsRecords":[{"Type":"A"}]}}`, 400, "InvalidInput", "DnsConfig.DnsRecords.TTL"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest(tt.method, tt.url, strings.NewReader(tt.body))
			if tt.target != "" {
				r.Header.Set("X-Amz-Target", tt.target)
			}
			if tt.origin != "" {
				r.Header.Set("Origin", tt.origin)
			}
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.says) {
				t.Errorf("got %d %s, want %d with %q", w.Code, w.Body, tt.status, tt.says)
			}
			if w.Header().Get("x-amzn-RequestId") == "" {
				t.Error("no request id")
			}
			if tt.code == "" {
				return
			}
			var body struct {
				Type    string `json:"__type"`
				Message string
			}
			if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || body.Type != tt.code || body.Message == "" {
				t.Errorf("body %s, %v; want __type %s and a Message", w.Body, err, tt.code)
			}
			if got := w.Header().Get("X-Amzn-ErrorType"); got != tt.code {
				t.Errorf("X-Amzn-ErrorType %q, want %q", got, tt.code)
			}
		})
	}
}

// TestOwnFault checks that a failure of ours is a 5xx, which clients retry.
func TestOwnFault(t *testing.T) {
	reg, err := registry.Open(registry.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := reg.Close(); err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest("POST", "/", strings.NewReader(`{"Name":"prod"}`))
	r.Header.Set("X-Amz-Target", target+"CreateHttpNamespace")
	w := httptest.NewRecorder()
	awsjson.New(reg).ServeHTTP(w, r)
	if w.Code != 500 || !strings.Contains(w.Body.String(), "InternalFailure") {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
}

// FuzzCall sends arbitrary bytes to every operation. No answer may be a fault
// of ours, and every body must be JSON.
func FuzzCall(f *testing.F) {
	names := awsjson.OperationNames()
	reg, err := registry.Open(registry.Options{})
	if err != nil {
		f.Fatal(err)
	}
	handler := awsjson.New(reg)
	post := func(name string, body io.Reader) *httptest.ResponseRecorder {
		r := httptest.NewRequest("POST", "/", body)
		r.Header.Set("X-Amz-Target", target+name)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		return w
	}
	for i, body := range []string{
		`{"Name":"prod"}`, `{"Name":"p","Vpc":"v","Properties":{"DnsProperties":{"SOA":{"TTL":1}}}}`, `{"Id":"ns-1"}`, `{}`,
		`{"Filters":[{"Name":"NAME","Values":["a"],"Condition":"BEGINS_WITH"}],"MaxResults":1,"NextToken":"x"}`,
		`{"Name":"web","NamespaceId":"ns-1","DnsConfig":{"DnsRecords":[{"Type":"A","TTL":0}],"RoutingPolicy":"WEIGHTED"}}`,
		`{}`, `null`, `[]`, `{"ServiceId":"srv-1","InstanceId":"a","Attributes":{"AWS_INSTANCE_PORT":"99999"}}`,
	} {
		f.Add(uint8(i), []byte(body))
	}
	f.Fuzz(func(t *testing.T, which uint8, body []byte) {
		w := post(names[int(which)%len(names)], strings.NewReader(string(body)))
		if w.Code >= http.StatusInternalServerError {
			t.Errorf("status %d: %s", w.Code, w.Body)
		}
		if w.Body.Len() > 0 && !json.Valid(w.Body.Bytes()) {
			t.Errorf("not JSON: %s", w.Body)
		}
	})
}

// TestSlowBody sends half a request and checks that the handler does not wait
// for the rest for ever, whatever the server around it allows.
func TestSlowBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg, err := registry.Open(registry.Options{})
		if err != nil {
			t.Fatal(err)
		}
		near, far := net.Pipe()
		server := &http.Server{Handler: awsjson.New(reg)}
		served := make(chan error)
		go func() { served <- server.Serve(&oneConn{conn: far, closed: make(chan struct{})}) }()
		start := time.Now()
		if _, err := fmt.Fprintf(near, "POST / HTTP/1.1\r\nHost: x\r\nX-Amz-Target: %sListNamespaces\r\nContent-Length: 100\r\n\r\n{", target); err != nil {
			t.Fatal(err)
		}
		answer, err := http.ReadResponse(bufio.NewReader(near), nil)
		if err != nil {
			t.Fatal(err)
		}
		if waited := time.Since(start); answer.StatusCode != 400 || waited != 10*time.Second {
			t.Errorf("%s after %s, want 400 after 10s", answer.Status, waited)
		}
		near.Close()
		server.Close()
		<-served
	})
}

// oneConn is a listener with a single connection.
type oneConn struct {
	conn   net.Conn
	taken  bool
	closed chan struct{}
}

func (l *oneConn) Accept() (net.Conn, error) {
	if !l.taken {
		l.taken = true
		return l.conn, nil
	}
	<-l.closed
	return nil, net.ErrClosed
}

func (l *oneConn) Close() error   { close(l.closed); return nil }
func (l *oneConn) Addr() net.Addr { return l.conn.LocalAddr() }
