package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os/user"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mapwarden/mapwarden/internal/web"
)

// daemonAPI speaks to a running daemon's operator API.
type daemonAPI struct{ address string }

func (d *daemonAPI) flag(c *cobra.Command) {
	c.Flags().StringVar(&d.address, "addr", "http://"+webAddress, "where the daemon's operator API is")
}

// base is the API's URL: HOST:PORT alone will do.
func (d *daemonAPI) base() (string, error) {
	base := d.address
	if !strings.Contains(base, "://") {
		base = "http://" + base
		if _, _, err := net.SplitHostPort(d.address); err != nil {
			return "", usagef("--addr %s: give HOST:PORT or http://HOST:PORT", d.address)
		}
	}
	if u, err := url.Parse(base); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return "", usagef("--addr %s: give HOST:PORT or http://HOST:PORT", d.address)
	}
	return base, nil
}

// call asks the daemon; in is sent as JSON where it is not nil.
func (d *daemonAPI) call(ctx context.Context, method, path string, in, out any) error {
	base, err := d.base()
	if err != nil {
		return err
	}
	var body io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(data)
	}
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(base, "/")+path, body)
	if err != nil {
		return usagef("--addr %s: %w", d.address, err)
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	client := http.Client{Transport: &http.Transport{Proxy: nil, DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		if at := (*url.Error)(nil); errors.As(err, &at) {
			err = at.Err // the address is said already
		}
		return unreachablef("no daemon answers at %s: %w; is one running? give its address with --addr", d.address, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return d.answered(resp)
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, 64<<20)).Decode(out); err != nil {
		return unreachablef("the answer of %s is not mapwarden's: %w", d.address, err)
	}
	return nil
}

// answered turns an error answer into an error with the right exit code.
func (d *daemonAPI) answered(resp *http.Response) error {
	var e web.Error
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&e); err != nil || e.Error == "" {
		return unreachablef("what answers at %s is no mapwarden daemon: it says %s; give the daemon's address with --addr", d.address, resp.Status)
	}
	if resp.StatusCode == http.StatusNotFound { // the hint is for those who speak to the API
		return exitWith(exitFailed, fmt.Errorf("%s; see mapwarden status, and mapwarden quarantine list for what is out", e.Error))
	}
	text := e.Error
	if e.Hint != "" {
		text += "; " + e.Hint
	}
	if resp.StatusCode == http.StatusConflict { // well asked, but not now
		return exitWith(exitFailed, errors.New(text))
	}
	if resp.StatusCode/100 == 4 {
		return usagef("%s", text)
	}
	return unreachablef("%s", text)
}

// me is who asks, for the records.
func me() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return ""
}

func (a *app) printJSON(v any) error {
	e := json.NewEncoder(a.out)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

func (a *app) statusCommand() *cobra.Command {
	var d daemonAPI
	var output string
	c := &cobra.Command{
		Use: "status", Short: "Fleet, services, and every instance that is not simply in", GroupID: "ask", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			var s struct {
				Fleet     web.Fleet      `json:"fleet"`
				Services  []web.Service  `json:"services"`
				Instances []web.Instance `json:"instances"`
			}
			var services web.Services
			var instances web.Instances
			for _, ask := range []struct {
				path string
				into any
			}{{"fleet", &s.Fleet}, {"services", &services}, {"instances?problems=true", &instances}} {
				if err := d.call(c.Context(), "GET", "/api/v1/"+ask.path, nil, ask.into); err != nil {
					return err
				}
			}
			s.Services, s.Instances = services.Services, instances.Instances
			if output == "json" {
				return a.printJSON(s)
			}
			a.printFleet(s.Fleet)
			a.printServices(s.Services, s.Fleet.Gates)
			a.printInstances(s.Instances)
			return nil
		},
	}
	d.flag(c)
	outputFlag(c, &output)
	return c
}

func (a *app) explainCommand() *cobra.Command {
	var d daemonAPI
	var output string
	c := &cobra.Command{
		Use: "explain NAMESPACE/SERVICE/INSTANCE", Short: "Why an instance is in or out", GroupID: "ask", Args: one("NAMESPACE/SERVICE/INSTANCE"),
		Long: "Say why an instance is in or out, rule by rule. Parts that hold a slash are percent-encoded;\n" +
			"srv-ID/INSTANCE is accepted, too. Exit 0 for an instance that is known, in or out.",
		RunE: func(c *cobra.Command, args []string) error {
			path, err := instancePath(args[0])
			if err != nil {
				return exitWith(exitUsage, err)
			}
			var e web.Explanation
			if err := d.call(c.Context(), "GET", path, nil, &e); err != nil {
				return err
			}
			if output == "json" {
				return a.printJSON(e)
			}
			a.printExplanation(e)
			return nil
		},
	}
	d.flag(c)
	outputFlag(c, &output)
	return c
}

// instancePath is the API's path for an instance.
func instancePath(name string) (string, error) {
	parts, err := instanceParts(name)
	if err != nil {
		return "", err
	}
	for i, p := range parts {
		parts[i] = url.PathEscape(p)
	}
	return "/api/v1/instances/" + strings.Join(parts, "/") + "/explain", nil
}

// instanceParts splits NS/SVC/ID or srv-ID/ID. What follows the service is the
// instance, slashes and all.
func instanceParts(name string) ([]string, error) {
	n := 3
	if strings.HasPrefix(name, "srv-") {
		n = 2
	}
	parts := strings.SplitN(name, "/", n)
	for i, p := range parts {
		plain, err := url.PathUnescape(p)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", name, err)
		}
		parts[i] = plain
	}
	if len(parts) != n || parts[n-1] == "" {
		return nil, fmt.Errorf("%q: give NAMESPACE/SERVICE/INSTANCE or srv-ID/INSTANCE", name)
	}
	return parts, nil
}

func (a *app) historyCommand() *cobra.Command {
	var d daemonAPI
	var output, service, instance string
	var since age
	var limit int
	c := &cobra.Command{
		Use: "history", Short: "What was decided and done, and what was withheld", GroupID: "ask", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			q := url.Values{}
			set := func(k, v string) {
				if v != "" {
					q.Set(k, v)
				}
			}
			set("service", service)
			set("instance", instance)
			if since > 0 {
				set("since", time.Now().Add(-time.Duration(since)).UTC().Format(time.RFC3339))
			}
			set("limit", fmt.Sprint(limit))
			var r web.Records
			if err := d.call(c.Context(), "GET", "/api/v1/history?"+q.Encode(), nil, &r); err != nil {
				return err
			}
			if output == "json" {
				return a.printJSON(r)
			}
			if len(r.Records) == 0 {
				fmt.Fprintln(a.err, "no record matches; mapwarden status names the services and instances that there are")
			}
			a.printRecords(r.Records)
			return nil
		},
	}
	d.flag(c)
	outputFlag(c, &output)
	c.Flags().Var(&since, "since", "only what is newer than this, such as 2h or 7d")
	c.Flags().StringVar(&service, "service", "", "only this NAMESPACE/SERVICE or srv-ID")
	c.Flags().StringVar(&instance, "instance", "", "only this instance")
	c.Flags().IntVar(&limit, "limit", 200, "at most this many, the latest")
	return c
}

// instant is a time for people, in the local zone.
func instant(t *time.Time) string {
	if t == nil || t.IsZero() {
		return "-"
	}
	return t.Local().Format("2006-01-02 15:04:05")
}

func dash(s string) string { return cmp.Or(s, "-") }
