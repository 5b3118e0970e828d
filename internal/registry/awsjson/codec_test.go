package awsjson

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"reflect"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	sd "github.com/aws/aws-sdk-go-v2/service/servicediscovery"
	"github.com/aws/smithy-go/middleware"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

// loop is a transport that takes the SDK's request for our decoder, and gives
// our encoder's answer to the SDK.
type loop struct {
	in  any // pointer that the request is decoded into
	out any // pointer to the answer
	err error
}

func (l *loop) Do(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	l.err = decode(body, l.in)
	answer, err := encode(l.out)
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(answer))}, nil
}

// TestCodecAgreesWithSDK sends random inputs and answers of every operation of
// the service, offered or not, through the SDK's own (de)serialisers.
func TestCodecAgreesWithSDK(t *testing.T) {
	clientType := reflect.TypeFor[*sd.Client]()
	operations := 0
	for i := range clientType.NumMethod() {
		method := clientType.Method(i)
		if method.Type.NumIn() != 4 || method.Type.NumOut() != 2 { // receiver, ctx, input, options
			continue
		}
		operations++
		inType, outType := method.Type.In(2).Elem(), method.Type.Out(0).Elem()
		t.Run(method.Name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				in, out := reflect.New(inType), reflect.New(outType)
				fill(t, in.Elem(), true)
				fill(t, out.Elem(), false)
				transport := &loop{in: reflect.New(inType).Interface(), out: out.Interface()}
				client := sd.New(sd.Options{
					Region: "us-east-1", HTTPClient: transport, RetryMaxAttempts: 1,
					Credentials: credentials.NewStaticCredentialsProvider("AKID", "SECRET", ""),
				})
				results := reflect.ValueOf(client).MethodByName(method.Name).Call([]reflect.Value{reflect.ValueOf(context.Background()), in})
				if err, _ := results[1].Interface().(error); err != nil || transport.err != nil {
					t.Fatalf("the SDK says %v, the decoder says %v", err, transport.err)
				}
				same(t, "input", in.Interface(), transport.in)
				if method.Name != "UpdateInstanceCustomHealthStatus" { // has no output shape
					same(t, "output", out.Interface(), results[0].Interface())
				}
			})
		})
	}
	if operations != 30 {
		t.Errorf("%d operations, want the 30 of the service", operations)
	}
}

// same allows for the millisecond that the SDK loses when it cuts 1.001 seconds,
// which has no exact floating point number, to milliseconds.
func same(t *rapid.T, what string, want, got any) {
	t.Helper()
	unexported := cmp.FilterPath(func(p cmp.Path) bool {
		field, ok := p.Last().(cmp.StructField)
		return ok && (field.Name() == "noSmithyDocumentSerde" || field.Type() == reflect.TypeFor[middleware.Metadata]())
	}, cmp.Ignore())
	if diff := cmp.Diff(want, got, unexported, cmpopts.EquateApproxTime(time.Millisecond)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// fill sets v to a random value. The SDK's validators refuse inputs whose
// required members are nil, so those of inputs are never left out.
func fill(t *rapid.T, v reflect.Value, whole bool) {
	if v.Type() == timeType {
		v.Set(reflect.ValueOf(time.UnixMilli(rapid.Int64Range(0, 4e12).Draw(t, "time")).UTC()))
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if whole || rapid.Bool().Draw(t, "present") {
			v.Set(reflect.New(v.Type().Elem()))
			fill(t, v.Elem(), whole)
		}
	case reflect.String:
		v.SetString(rapid.StringN(1, 20, -1).Draw(t, "string"))
	case reflect.Int32:
		v.SetInt(int64(rapid.Int32().Draw(t, "int32")))
	case reflect.Int64:
		v.SetInt(rapid.Int64().Draw(t, "int64"))
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() && v.Type().Field(i).Type != metadataType {
				fill(t, v.Field(i), whole)
			}
		}
	case reflect.Slice:
		n := rapid.IntRange(0, 3).Draw(t, "length")
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			fill(t, v.Index(i), whole)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for range rapid.IntRange(0, 3).Draw(t, "size") {
			item := reflect.New(v.Type().Elem()).Elem()
			fill(t, item, whole)
			v.SetMapIndex(reflect.ValueOf(rapid.StringN(1, 20, -1).Draw(t, "key")), item)
		}
	default:
		t.Fatalf("the service has a %s now", v.Type())
	}
}
