//go:build linux || darwin

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// registry is a registry process, with a meter before it that counts the
// daemon's calls by operation.
type registry struct {
	*child
	direct string // its URL
	meter  *http.Server
	url    string // of the meter

	mu     sync.Mutex
	calls  map[string]int
	status map[string]time.Time // first UpdateInstanceCustomHealthStatus, by instance id
}

func (st *stage) startRegistry() error {
	c, err := st.spawn(false, "registry", st.mapwarden, "registry", "--data", filepath.Join(st.dir, "registry"),
		"--registry-listen", "127.0.0.1:0", "--dns-listen", "", "--operation-delay", "0s", "--until-eof")
	if err != nil {
		return err
	}
	st.registry = &registry{child: c, calls: map[string]int{}, status: map[string]time.Time{}}
	address, err := c.listening("registry")
	if err != nil {
		return err
	}
	return st.registry.startMeter("http://" + address)
}

func (r *registry) startMeter(direct string) error {
	to, err := url.Parse(direct)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	forward := &httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) { p.SetURL(to) }}
	r.direct, r.url = direct, "http://"+l.Addr().String()
	r.meter = &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if err := r.count(q); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		forward.ServeHTTP(w, q)
	})}
	go r.meter.Serve(l)
	return nil
}

func (r *registry) close() {
	r.stop()
	if r.meter != nil {
		r.meter.Close()
	}
}

// count notes a call.
func (r *registry) count(q *http.Request) error {
	_, op, _ := strings.Cut(q.Header.Get("X-Amz-Target"), ".")
	body, err := io.ReadAll(io.LimitReader(q.Body, 1<<20))
	if err != nil {
		return err
	}
	q.Body = io.NopCloser(bytes.NewReader(body))
	var in struct{ InstanceId string }
	if err := json.Unmarshal(body, &in); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls[op]++
	if _, before := r.status[in.InstanceId]; op == "UpdateInstanceCustomHealthStatus" && !before {
		r.status[in.InstanceId] = time.Now()
	}
	return nil
}

// taken returns the calls since the last taken, by operation.
func (r *registry) taken() map[string]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	calls := r.calls
	r.calls = map[string]int{}
	return calls
}

// statusSet is when the daemon first set a status of an instance.
func (r *registry) statusSet(instance string) (time.Time, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	at, ok := r.status[instance]
	return at, ok
}

// fill creates the namespace, the services and their instances.
func (r *registry) fill(ctx context.Context, services int, ports []int) error {
	var created struct{ OperationId string }
	if err := r.do(ctx, "CreateHttpNamespace", map[string]any{"Name": "bench", "CreatorRequestId": "bench"}, &created); err != nil {
		return err
	}
	var op struct {
		Operation struct{ Targets map[string]string }
	}
	if err := r.do(ctx, "GetOperation", created, &op); err != nil {
		return err
	}
	ids := make([]string, services)
	for i := range ids {
		in := map[string]any{"Name": serviceName(i), "NamespaceId": op.Operation.Targets["NAMESPACE"]}
		if custom(i) {
			in["HealthCheckCustomConfig"] = struct{}{}
		}
		var out struct{ Service struct{ Id string } }
		if err := r.do(ctx, "CreateService", in, &out); err != nil {
			return err
		}
		ids[i] = out.Service.Id
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(64)
	for i, port := range ports {
		g.Go(func() error {
			return r.do(ctx, "RegisterInstance", map[string]any{
				"ServiceId": ids[i%services], "InstanceId": instanceName(i), "CreatorRequestId": instanceName(i),
				"Attributes": map[string]string{"AWS_INSTANCE_IPV4": "127.0.0.1", "AWS_INSTANCE_PORT": strconv.Itoa(port), "version": "1"},
			}, nil)
		})
	}
	return g.Wait()
}

func serviceName(i int) string  { return fmt.Sprintf("s%02d", i) }
func instanceName(i int) string { return fmt.Sprintf("i-%05d", i) }

// custom reports whether a service has a custom health check; the others are
// for quarantine.
func custom(service int) bool { return service%2 == 0 }

// do makes one call to the registry. into may be nil.
func (r *registry) do(ctx context.Context, op string, in, into any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, r.direct, bytes.NewReader(body))
	if err != nil {
		return err
	}
	q.Header.Set("Content-Type", "application/x-amz-json-1.1")
	q.Header.Set("X-Amz-Target", "Route53AutoNaming_v20170314."+op)
	resp, err := http.DefaultClient.Do(q)
	if err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = errors.New(string(answer))
	}
	if err == nil && into != nil {
		err = json.Unmarshal(answer, into)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	return nil
}
