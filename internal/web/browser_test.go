package web_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mapwarden/mapwarden/internal/component"
)

// browser is one tab of a headless Chromium, spoken to through its DevTools
// pipe: messages of JSON, each ended by a zero byte.
type browser struct {
	t       *testing.T
	out     io.Writer
	session string

	mu      sync.Mutex
	last    int
	waiting map[int]chan reply
	trouble []string // exceptions, errors on the console, breaches of the content policy
	gone    chan struct{}
}

type reply struct {
	ID     int             `json:"id"`
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
	Result json.RawMessage `json:"result"`
	Error  *struct {
		Message string `json:"message"`
	} `json:"error"`
}

// browserTime bounds everything that one question to the browser may take.
const browserTime = 60 * time.Second

// newBrowser starts a browser that ends with the test.
func newBrowser(t *testing.T) *browser {
	t.Helper()
	program := component.Need(t, component.Chromium)
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--hide-scrollbars",
		"--user-data-dir="+t.TempDir(), "--remote-debugging-pipe", "--window-size=1400,1000", "about:blank")
	cmd.WaitDelay = 5 * time.Second
	theirIn, ourOut, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	ourIn, theirOut, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.ExtraFiles = []*os.File{theirIn, theirOut}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	theirIn.Close()
	theirOut.Close()
	b := &browser{t: t, out: ourOut, waiting: map[int]chan reply{}, gone: make(chan struct{})}
	go b.listen(ourIn)
	t.Cleanup(func() {
		_, _ = b.try("Browser.close", nil)
		ourOut.Close()
		select {
		case <-b.gone:
		case <-time.After(5 * time.Second):
		}
		cancel()
		_ = cmd.Wait() // it was killed, or ended as it was told to
		ourIn.Close()
	})

	var target struct{ TargetID string }
	b.do("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var attached struct{ SessionID string }
	b.do("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached)
	b.session = attached.SessionID
	for _, domain := range []string{"Page", "Runtime", "Log", "Network"} {
		b.do(domain+".enable", nil, nil)
	}
	return b
}

func (b *browser) listen(in io.Reader) {
	defer close(b.gone)
	r := bufio.NewReader(in)
	for {
		message, err := r.ReadBytes(0)
		if err != nil {
			return
		}
		var m reply
		if json.Unmarshal(message[:len(message)-1], &m) != nil {
			continue
		}
		b.mu.Lock()
		switch {
		case m.ID != 0:
			if c, ok := b.waiting[m.ID]; ok {
				delete(b.waiting, m.ID)
				c <- m
			}
		case m.Method == "Runtime.exceptionThrown", m.Method == "Log.entryAdded" && strings.Contains(string(m.Params), `"level":"error"`):
			b.trouble = append(b.trouble, string(m.Params))
		}
		b.mu.Unlock()
	}
}

func (b *browser) try(method string, params any) (json.RawMessage, error) {
	b.mu.Lock()
	b.last++
	id := b.last
	c := make(chan reply, 1)
	b.waiting[id] = c
	b.mu.Unlock()
	message := map[string]any{"id": id, "method": method}
	if params != nil {
		message["params"] = params
	}
	if b.session != "" && !strings.HasPrefix(method, "Browser.") {
		message["sessionId"] = b.session
	}
	body, err := json.Marshal(message)
	if err != nil {
		return nil, err
	}
	if _, err := b.out.Write(append(body, 0)); err != nil {
		return nil, err
	}
	select {
	case m := <-c:
		if m.Error != nil {
			return nil, fmt.Errorf("%s: %s", method, m.Error.Message)
		}
		return m.Result, nil
	case <-b.gone:
		return nil, fmt.Errorf("%s: the browser has ended", method)
	case <-time.After(browserTime):
		return nil, fmt.Errorf("%s: no answer", method)
	}
}

func (b *browser) do(method string, params, into any) {
	b.t.Helper()
	result, err := b.try(method, params)
	if err == nil && into != nil {
		err = json.Unmarshal(result, into)
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

// eval runs a script that may await, and returns what it returns as JSON.
func (b *browser) eval(script string) string {
	b.t.Helper()
	var out struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails json.RawMessage
	}
	b.do("Runtime.evaluate", map[string]any{"expression": "(async () => {" + script + "})()", "awaitPromise": true, "returnByValue": true}, &out)
	if out.ExceptionDetails != nil {
		b.t.Fatalf("%s\n%s", script, out.ExceptionDetails)
	}
	return string(out.Result.Value)
}

// until waits in the page for an expression to become true.
func (b *browser) until(expression string) {
	b.t.Helper()
	ok := b.eval(`for (let i = 0; i < 600; i++) { try { if (` + expression + `) return true; } catch {} await new Promise((wake) => setTimeout(wake, 50)); } return document.body.innerText;`)
	if ok != "true" {
		b.t.Fatalf("never came true: %s\nthe page says:\n%s", expression, ok)
	}
}

func (b *browser) open(url string) {
	b.t.Helper()
	b.do("Page.navigate", map[string]any{"url": url}, nil)
	b.until(`document.readyState === "complete"`)
}

// press sends one key to what has the focus.
func (b *browser) press(key string) {
	b.t.Helper()
	for _, kind := range []string{"keyDown", "keyUp"} {
		params := map[string]any{"type": kind, "key": key, "windowsVirtualKeyCode": map[string]int{"Escape": 27, "Enter": 13}[key]}
		switch {
		case key == "Enter" && kind == "keyDown":
			params["text"] = "\r"
		case len(key) == 1 && kind == "keyDown":
			params["text"] = key
		}
		b.do("Input.dispatchKeyEvent", params, nil)
	}
}

// shoot keeps a picture of the page where MAPWARDEN_SHOTS names a directory.
func (b *browser) shoot(name, scheme string, width, height int) {
	b.t.Helper()
	dir := os.Getenv("MAPWARDEN_SHOTS")
	if dir == "" {
		return
	}
	b.do("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{{"name": "prefers-color-scheme", "value": scheme}}}, nil)
	b.do("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false}, nil)
	b.eval(`await new Promise((wake) => setTimeout(wake, 200));`)
	var picture struct{ Data string }
	b.do("Page.captureScreenshot", map[string]any{"format": "png"}, &picture)
	body, err := base64.StdEncoding.DecodeString(picture.Data)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, name+".png"), body, 0o644)
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

// calm fails the test where anything went wrong in the page.
func (b *browser) calm() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, what := range b.trouble {
		b.t.Errorf("in the page: %s", what)
	}
}
