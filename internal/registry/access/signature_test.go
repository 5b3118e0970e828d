package access

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"pgregory.net/rapid"
)

// TestAgainstAWSVectors holds the canonical form against cases of AWS's own
// test suite for Signature Version 4.
func TestAgainstAWSVectors(t *testing.T) {
	const secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
	const unreserved = "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	for _, tt := range []struct {
		name, line, headers, body string
		signed, signature         string
	}{
		{"get-vanilla", "GET /", "", "", "host;x-amz-date", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
		{"post-vanilla", "POST /", "", "", "host;x-amz-date", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
		{"get-vanilla-query-order-key-case", "GET /?Param2=value2&Param1=value1", "", "", "host;x-amz-date", "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
		{"get-vanilla-query-unreserved", "GET /?" + unreserved + "=" + unreserved, "", "", "host;x-amz-date", "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197"},
		{"get-unreserved", "GET /" + unreserved, "", "", "host;x-amz-date", "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"},
		{"get-header-key-duplicate", "GET /", "My-Header1:value2\nMy-Header1:value2\nMy-Header1:value1\n", "", "host;my-header1;x-amz-date", "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea"},
		{"get-header-value-trim", "GET /", "My-Header1: value1\nMy-Header2: \"a   b   c\"\n", "", "host;my-header1;my-header2;x-amz-date", "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"},
		{"post-header-value-case", "POST /", "My-Header1:VALUE1\n", "", "host;my-header1;x-amz-date", "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d"},
		{"post-x-www-form-urlencoded", "POST /", "Content-Type:application/x-www-form-urlencoded\n", "Param1=value1", "content-type;host;x-amz-date", "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			raw := tt.line + " HTTP/1.1\nHost:example.amazonaws.com\n" + tt.headers + "X-Amz-Date:20150830T123600Z\n\n"
			r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(raw)))
			if err != nil {
				t.Fatal(err)
			}
			hash := sha256.Sum256([]byte(tt.body))
			canonical := canonicalRequest(r, r.Host, strings.Split(tt.signed, ";"), hex.EncodeToString(hash[:]))
			toSign := stringToSign("20150830T123600Z", "20150830/us-east-1/service/aws4_request", canonical)
			if got := hex.EncodeToString(sum(derive(secret, "20150830", "us-east-1", "service"), toSign)); got != tt.signature {
				t.Errorf("signature %s, AWS has %s, of\n%s", got, tt.signature, canonical)
			}
		})
	}
}

var testKey = Key{ID: "AKMWAAAAAAAAAAAAAAAA", Secret: "0123456789012345678901234567890123456789"}

// guarded is a door that knows testKey and a read-only key, in front of a face
// that answers with the body that it was given.
func guarded(t testing.TB) http.Handler {
	t.Helper()
	ring, err := OpenRing(t.TempDir()+"/none", nil, testKey, Key{ID: "AKMWREADSREADSREADSR", Secret: testKey.Secret, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	ring.asked.Store(true)
	return New(Options{Keys: ring, Account: "123456789012", Region: "eu-west-1"},
		http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) }))
}

// sign signs a request as AWS's SDK for Go does, at the time of the moment.
func sign(r *http.Request, body string, change ...func(key *aws.Credentials, service, region *string, at *time.Time)) {
	key, service, region, at := aws.Credentials{AccessKeyID: testKey.ID, SecretAccessKey: testKey.Secret}, "servicediscovery", "eu-west-1", time.Now()
	for _, c := range change {
		c(&key, &service, &region, &at)
	}
	hash := sha256.Sum256([]byte(body))
	if err := v4.NewSigner().SignHTTP(context.Background(), key, r, hex.EncodeToString(hash[:]), service, region, at); err != nil {
		panic(err)
	}
}

func apiCall(operation, body string) *http.Request {
	r := httptest.NewRequest("POST", "http://registry.test:9751/", strings.NewReader(body))
	r.RequestURI = "" // a client's request: the signer is one
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	r.Header.Set("X-Amz-Target", "Route53AutoNaming_v20170314."+operation)
	return r
}

// overTheWire is r as the other end reads it.
func overTheWire(t interface{ Fatal(...any) }, r *http.Request) *http.Request {
	var b bytes.Buffer
	if err := r.Write(&b); err != nil {
		t.Fatal(err)
	}
	got, err := http.ReadRequest(bufio.NewReader(&b))
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// TestSDKSignaturesVerify signs requests of any kind with AWS's signer and lets
// them go over the wire.
func TestSDKSignaturesVerify(t *testing.T) {
	handler := guarded(t)
	word := rapid.StringMatching(`[A-Za-z0-9_.~/ %&=+-]{0,12}`)
	rapid.Check(t, func(t *rapid.T) {
		body := rapid.String().Draw(t, "body")
		r := apiCall("ListServices", body)
		r.URL.Path = "/" + word.Draw(t, "path")
		query := r.URL.Query()
		for range rapid.IntRange(0, 3).Draw(t, "parameters") {
			query.Add(word.Draw(t, "name"), word.Draw(t, "value"))
		}
		r.URL.RawQuery = query.Encode()
		for range rapid.IntRange(0, 4).Draw(t, "headers") {
			r.Header.Add(rapid.SampledFrom([]string{"X-Amz-Foo", "X-Bar", "Accept", "Amz-Sdk-Request"}).Draw(t, "header"), word.Draw(t, "text"))
		}
		r.Host = rapid.SampledFrom([]string{"registry.test:9751", "data-registry.test", "[::1]:9751", "Registry.Test:80"}).Draw(t, "host")
		sign(r, body)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, overTheWire(t, r))
		if w.Code != 200 || w.Body.String() != body {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	})
}

func TestRefusals(t *testing.T) {
	type change = func(key *aws.Credentials, service, region *string, at *time.Time)
	edit := func(from, to string) func(*http.Request) {
		return func(r *http.Request) {
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), from, to, 1))
		}
	}
	for _, tt := range []struct {
		name   string
		signed change              // how it is signed; nil: well
		after  func(*http.Request) // what happens to it then
		code   string
		says   string
	}{
		{"good", nil, nil, "", ""},
		{"unsigned headers may come and go", nil, func(r *http.Request) { r.Header.Set("User-Agent", "else"); r.Header.Set("Via", "a proxy") }, "", ""},
		{"no signature", nil, func(r *http.Request) { r.Header.Del("Authorization") }, "MissingAuthenticationTokenException", "mapwarden registry keys add"},
		{"signature in the query", nil, func(r *http.Request) {
			r.Header.Del("Authorization")
			r.URL.RawQuery = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=00"
		}, "MissingAuthenticationTokenException", ""},
		{"another scheme", nil, func(r *http.Request) { r.Header.Set("Authorization", "Bearer x") }, "IncompleteSignatureException", "AWS4-HMAC-SHA256"},
		{"another algorithm", nil, edit("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA256X"), "IncompleteSignatureException", ""},
		{"no credential", nil, edit("Credential", "Creditial"), "IncompleteSignatureException", "'Credential'"},
		{"half a credential", nil, edit("/aws4_request", ""), "IncompleteSignatureException", "KEY/DATE/REGION/SERVICE"},
		{"no signed headers", nil, edit("SignedHeaders=", "SignedHeaders=,X="), "IncompleteSignatureException", "'SignedHeaders'"},
		{"half a signature", nil, func(r *http.Request) {
			r.Header.Set("Authorization", r.Header.Get("Authorization")[:len(r.Header.Get("Authorization"))-2])
		}, "IncompleteSignatureException", "SHA-256"},
		{"no date", nil, func(r *http.Request) { r.Header.Del("X-Amz-Date") }, "IncompleteSignatureException", "X-Amz-Date"},
		{"a date of no kind", nil, func(r *http.Request) { r.Header.Set("X-Amz-Date", "today") }, "IncompleteSignatureException", "today"},
		{"an unknown key", func(k *aws.Credentials, _, _ *string, _ *time.Time) { k.AccessKeyID = "AKIAIOSFODNN7EXAMPLE" }, nil, "UnrecognizedClientException", "no such access key"},
		{"a wrong secret", func(k *aws.Credentials, _, _ *string, _ *time.Time) { k.SecretAccessKey = "x" }, nil, "InvalidSignatureException", "The Canonical String for this request should have been"},
		{"another service", func(_ *aws.Credentials, s, _ *string, _ *time.Time) { *s = "dynamodb" }, nil, "InvalidSignatureException", "correct service: 'servicediscovery'"},
		{"another region", func(_ *aws.Credentials, _, r *string, _ *time.Time) { *r = "us-east-1" }, nil, "InvalidSignatureException", "not 'us-east-1': this registry is in eu-west-1"},
		{"another day in the scope", nil, edit("/"+time.Now().UTC().Format("2006"), "/1999"), "InvalidSignatureException", "does not match YYYYMMDD"},
		{"another body", nil, func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader(`{"Name":"x"}`)); r.ContentLength = 12 }, "InvalidSignatureException", ""},
		{"another operation", nil, func(r *http.Request) { r.Header.Set("X-Amz-Target", "Route53AutoNaming_v20170314.DeleteService") }, "InvalidSignatureException", "DeleteService"},
		{"a second operation", nil, func(r *http.Request) { r.Header.Add("X-Amz-Target", "Route53AutoNaming_v20170314.DeleteService") }, "InvalidSignatureException", ""},
		{"another host", nil, func(r *http.Request) { r.Host = "elsewhere" }, "InvalidSignatureException", "host:elsewhere"},
		{"another path", nil, func(r *http.Request) { r.URL.Path = "/x" }, "InvalidSignatureException", ""},
		{"another query", nil, func(r *http.Request) { r.URL.RawQuery = "a=b" }, "InvalidSignatureException", "a=b"},
		{"another method", nil, func(r *http.Request) { r.Method = "PUT" }, "InvalidSignatureException", ""},
		{"another content type", nil, func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }, "InvalidSignatureException", ""},
		{"the host unsigned", nil, edit("host;", ""), "InvalidSignatureException", "'host' must be a 'SignedHeader'"},
		{"the date unsigned", nil, edit("x-amz-date;", ""), "InvalidSignatureException", "'x-amz-date' must be a 'SignedHeader'"},
		{"the operation unsigned", nil, edit(";x-amz-target", ""), "InvalidSignatureException", "'x-amz-target' must be a 'SignedHeader'"},
		{"read-only, a write", func(k *aws.Credentials, _, _ *string, _ *time.Time) { k.AccessKeyID = "AKMWREADSREADSREADSR" }, nil, "AccessDeniedException",
			"User: arn:aws:iam::123456789012:user/AKMWREADSREADSREADSR is not authorized to perform: servicediscovery:RegisterInstance"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			const body = `{"ServiceId":"srv-1"}`
			r := apiCall("RegisterInstance", body)
			if tt.signed != nil {
				sign(r, body, tt.signed)
			} else {
				sign(r, body)
			}
			if tt.after != nil {
				tt.after(r)
			}
			w := httptest.NewRecorder()
			guarded(t).ServeHTTP(w, overTheWire(t, r))
			answers(t, w, tt.code, tt.says)
		})
	}
}

// answers checks an answer: code is empty for the face's own.
func answers(t *testing.T, w *httptest.ResponseRecorder, code, says string) {
	t.Helper()
	if code == "" {
		if w.Code != 200 {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		return
	}
	if got := w.Header().Get("X-Amzn-ErrorType"); got != code || w.Code != 400 || !strings.Contains(w.Body.String(), `"__type":"`+code+`"`) || !strings.Contains(w.Body.String(), says) {
		t.Errorf("%d %s %s; want %s with %q", w.Code, got, w.Body, code, says)
	}
	if w.Header().Get("x-amzn-RequestId") == "" {
		t.Error("no request id")
	}
}

// TestWindow sends the same signed request again and again: good for fifteen
// minutes, like on AWS, and then no more.
func TestWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		handler := guarded(t)
		time.Sleep(11*time.Hour + 59*time.Minute) // over midnight in the middle of it
		send := func(ahead time.Duration) *httptest.ResponseRecorder {
			r := apiCall("RegisterInstance", "{}")
			sign(r, "{}", func(_ *aws.Credentials, _, _ *string, at *time.Time) { *at = at.Add(ahead) })
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, overTheWire(t, r))
			return w
		}
		for ahead, says := range map[time.Duration]string{
			0: "", 15 * time.Minute: "", -15 * time.Minute: "",
			15*time.Minute + time.Second:  "Signature not yet current: ",
			-15*time.Minute - time.Second: "Signature expired: ",
		} {
			code := ""
			if says != "" {
				code = "InvalidSignatureException"
			}
			answers(t, send(ahead), code, says)
		}
		first := apiCall("RegisterInstance", "{}")
		sign(first, "{}")
		for _, wait := range []time.Duration{0, 14 * time.Minute, time.Minute} {
			time.Sleep(wait)
			again := first.Clone(t.Context())
			again.Body = io.NopCloser(strings.NewReader("{}"))
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, overTheWire(t, again))
			answers(t, w, "", "")
		}
		time.Sleep(time.Second)
		first.Body = io.NopCloser(strings.NewReader("{}"))
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, overTheWire(t, first))
		answers(t, w, "InvalidSignatureException", "15 min.")
	})
}

// TestWhatNeedsNoKey: a look at the root and a tunnel get the face's answer.
// Every call and everything else is asked.
func TestWhatNeedsNoKey(t *testing.T) {
	for line, code := range map[string]string{
		"GET /": "", "HEAD /": "", "CONNECT registry.test:443": "",
		"GET /x": "MissingAuthenticationTokenException", "GET http://registry.test/": "MissingAuthenticationTokenException",
		"POST /": "MissingAuthenticationTokenException", "PUT /": "MissingAuthenticationTokenException",
	} {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(line + " HTTP/1.1\r\nHost: registry.test\r\nX-Amz-Target: a.ListServices\r\n\r\n")))
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		guarded(t).ServeHTTP(w, r)
		answers(t, w, code, "")
	}
}

// TestReadOnlyReads: a read-only key may call each reading operation.
func TestReadOnlyReads(t *testing.T) {
	for operation := range awsPaces {
		r := apiCall(operation, "{}")
		sign(r, "{}", func(k *aws.Credentials, _, _ *string, _ *time.Time) { k.AccessKeyID = "AKMWREADSREADSREADSR" })
		w := httptest.NewRecorder()
		guarded(t).ServeHTTP(w, overTheWire(t, r))
		code := "AccessDeniedException"
		if strings.HasPrefix(operation, "Get") || strings.HasPrefix(operation, "List") || strings.HasPrefix(operation, "Discover") {
			code = ""
		}
		answers(t, w, code, "")
	}
}
