package access_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	sd "github.com/aws/aws-sdk-go-v2/service/servicediscovery"

	"github.com/mapwarden/mapwarden/internal/registry"
	"github.com/mapwarden/mapwarden/internal/registry/access"
	"github.com/mapwarden/mapwarden/internal/registry/awsjson"
)

// FuzzServe sends bytes to a whole registry, door and server included: as the
// body of one operation after the other, or as all that comes over a
// connection. Whatever they are, the answers are HTTP, those to calls are AWS's
// JSON, nothing is a fault of ours, and memory stays within what was sent.
func FuzzServe(f *testing.F) {
	var operations []string
	client := reflect.TypeFor[*sd.Client]()
	for i := range client.NumMethod() {
		if m := client.Method(i); m.Type.NumIn() == 4 && m.Type.NumOut() == 2 {
			operations = append(operations, m.Name)
		}
	}
	for i := range operations {
		for _, body := range []string{
			`{}`, `{"Name":"a","NamespaceId":"ns-1","Vpc":"vpc-1","Tags":[{"Key":"k","Value":"v"}]}`,
			`{"ServiceId":"srv-1","InstanceId":"i","Attributes":{"AWS_INSTANCE_IPV4":"10.0.0.1"},"Status":"UNHEALTHY"}`,
			`{"NamespaceName":"a","ServiceName":"b","MaxResults":1,"QueryParameters":{"a":"b"}}`,
			`{"Filters":[{"Name":"TYPE","Values":["HTTP"],"Condition":"IN"}],"NextToken":"x","Id":"ns-1"}`,
		} {
			f.Add(uint8(i), []byte(body))
		}
	}
	raw := uint8(len(operations))
	const authorization = "AWS4-HMAC-SHA256 Credential=AKMWAAAAAAAAAAAAAAAA/20260101/us-east-1/servicediscovery/aws4_request, SignedHeaders=host;x-amz-date;x-amz-target, Signature=00"
	for _, head := range []string{
		"GET / HTTP/1.1\r\nHost: x", "POST / HTTP/1.0", "CONNECT x:443 HTTP/1.1\r\nHost: x:443", "POST http://data-x/ HTTP/1.1\r\nHost: x",
		"POST /?a=b HTTP/1.1\r\nHost: x\r\nOrigin: http://evil.example", "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2",
		"POST / HTTP/1.1\r\nHost: x\r\nX-Amz-Date: 20260101T000000Z\r\nX-Amz-Target: T.ListServices\r\nAuthorization: " + authorization,
		"POST / HTTP/1.1\r\nHost: x\r\nX-Amz-Target: T.ListServices\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0",
	} {
		f.Add(raw, []byte(head+"\r\n\r\n{}"))
		f.Add(raw+1, []byte(head+"\r\n\r\n{}"))
	}

	open, locked := fuzzed(f, false), fuzzed(f, true)
	f.Fuzz(func(t *testing.T, which uint8, data []byte) {
		address, call := open, which < raw
		if call {
			data = fmt.Appendf(nil, "POST / HTTP/1.1\r\nHost: x\r\nX-Amz-Target: Route53AutoNaming_v20170314.%s\r\nContent-Length: %d\r\n\r\n%s",
				operations[which], len(data), data)
		} else if which%2 == 1 {
			address = locked
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		answers := exchange(t, address, data)
		runtime.ReadMemStats(&after)
		// A byte of JSON may become a value of some tens of bytes, and an answer.
		if got, most := after.TotalAlloc-before.TotalAlloc, uint64(2<<20+200*len(data)); got > most {
			t.Errorf("%d bytes made it allocate %d, want at most %d", len(data), got, most)
		}
		if call && len(answers) != 1 {
			t.Fatalf("one call has %d answers", len(answers))
		}
		for _, a := range answers {
			a.check(t, call)
		}
	})
}

// fuzzed starts a registry that fills and empties as it is fuzzed.
func fuzzed(f *testing.F, locked bool) string {
	f.Helper()
	quiet := slog.New(slog.DiscardHandler)
	reg, err := registry.Open(registry.Options{Log: quiet})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { reg.Close() })
	opts := access.Options{Region: "us-east-1", Account: "000000000000", Log: quiet}
	if locked {
		path := filepath.Join(f.TempDir(), access.KeysFile)
		if _, err := access.AddKey(path, false, ""); err != nil {
			f.Fatal(err)
		}
		if opts.Keys, err = access.OpenRing(path, quiet, access.Key{ID: "AKMWAAAAAAAAAAAAAAAA", Secret: "x"}); err != nil {
			f.Fatal(err)
		}
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		f.Fatal(err)
	}
	start(f, ln, access.DefaultConnections, access.New(opts, awsjson.New(reg)))
	return ln.Addr().String()
}

// answer is one of those that came over a connection.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// exchange sends all of data, and no more, and reads answers until the server
// has none left.
func exchange(t *testing.T, address string, data []byte) (answers []answer) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	conn.Write(data) // fails where the server has seen enough
	conn.(*net.TCPConn).CloseWrite()
	in := bufio.NewReader(conn)
	for {
		if _, err := in.Peek(1); err != nil {
			if timeout := net.Error(nil); errors.As(err, &timeout) && timeout.Timeout() {
				t.Fatal("the server neither answers nor closes")
			}
			return answers
		}
		method := "POST"
		if bytes.HasPrefix(data, []byte("HEAD")) {
			method = "HEAD"
		}
		resp, err := http.ReadResponse(in, &http.Request{Method: method})
		if err != nil {
			if len(answers) == 0 {
				t.Fatalf("no HTTP: %v", err)
			}
			return answers // of a HEAD further on, or cut off by a reset
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			return answers
		}
		if resp.StatusCode >= 200 {
			answers = append(answers, answer{resp.StatusCode, resp.Header, body})
		}
	}
}

// check holds an answer against AWS's shape. Those to what is no call may be text.
func (a answer) check(t *testing.T, call bool) {
	if a.status >= 500 && a.status != http.StatusHTTPVersionNotSupported && a.status != http.StatusNotImplemented && a.status != http.StatusBadGateway {
		t.Errorf("a fault of ours: %d %s", a.status, a.body)
	}
	isJSON := strings.HasPrefix(a.header.Get("Content-Type"), "application/x-amz-json-1.1")
	if call && !isJSON && len(a.body) > 0 {
		t.Errorf("a call is answered with %d %s %q", a.status, a.header.Get("Content-Type"), a.body)
	}
	if !isJSON || len(a.body) == 0 {
		return
	}
	var body map[string]any
	if err := json.Unmarshal(a.body, &body); err != nil {
		t.Fatalf("no JSON: %s", a.body)
	}
	if a.status < 300 {
		return
	}
	code, _ := body["__type"].(string)
	message, ok := body["Message"].(string)
	if !ok {
		message, _ = body["message"].(string)
	}
	if code == "" || message == "" || a.header.Get("X-Amzn-ErrorType") != code || a.header.Get("x-amzn-RequestId") == "" {
		t.Errorf("no error of AWS's shape: %d %v %s", a.status, a.header, a.body)
	}
}
