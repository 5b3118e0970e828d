// Package docs_test runs the pages that promise to be runnable. It tests what
// a reader would see, with the programs that a reader would use; what happens
// inside is for the tests of the packages.
package docs_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"testing"

	"github.com/mapwarden/mapwarden/internal/component"
)

// block is one fenced block of a page.
type block struct{ kind, text string }

var fence = regexp.MustCompile("(?ms)^```(sh|python|text)\n(.*?)^```$")

// TestWalkthrough runs docs/walkthrough.md in one shell. A block that has a
// text block after it is repeated until it prints that text.
func TestWalkthrough(t *testing.T) {
	component.Need(t, component.AWS)
	python := component.Need(t, component.Boto3)
	page, err := os.ReadFile("walkthrough.md")
	if err != nil {
		t.Fatal(err)
	}
	ports := freePorts(t, portNumber.FindAllString(string(page), -1))
	blocks := blocksOf(portNumber.ReplaceAllStringFunc(string(page), func(p string) string { return ports[p] }))
	if len(blocks) < 15 {
		t.Fatalf("found only %d blocks: the page is read wrongly", len(blocks))
	}

	sh := newShell(t, programs(t, python, ports))
	for i, b := range blocks {
		command := b.text
		switch b.kind {
		case "text":
			continue
		case "python":
			command = "python3 - <<'END'\n" + b.text + "END\n"
		}
		if i+1 < len(blocks) && blocks[i+1].kind == "text" {
			sh.until(command, blocks[i+1].text)
		} else {
			sh.must(command)
		}
	}
}

func blocksOf(page string) []block {
	var blocks []block
	for _, m := range fence.FindAllStringSubmatch(page, -1) {
		blocks = append(blocks, block{m[1], m[2]})
	}
	return blocks
}

// portNumber finds the ports that the page uses.
var portNumber = regexp.MustCompile(`(975[013]|808[1-5])\b`)

// freePorts maps each of the page's ports to one that is free here, in the
// same order, so that lists stay sorted. The three that the page's commands
// have as defaults are always among them. They lie below the range from which
// systems take the ports of outgoing connections, or one of those might have
// taken a port again before the page's servers do.
func freePorts(t *testing.T, used []string) map[string]string {
	t.Helper()
	used = append(used, "9750", "9751", "9753")
	slices.Sort(used)
	used = slices.Compact(used)
	ports := map[string]string{}
	next := 20000 + os.Getpid()*len(used)%10000
	for _, p := range used {
		for ; ports[p] == ""; next++ {
			if next > 32000 {
				t.Fatal("no free port below 32000")
			}
			if l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(next)); err == nil {
				l.Close()
				ports[p] = strconv.Itoa(next)
			}
		}
	}
	return ports
}

// programs makes a directory with the python that has boto3, and a mapwarden
// that has the free ports for its defaults.
func programs(t *testing.T, python string, ports map[string]string) string {
	t.Helper()
	bin := t.TempDir()
	real := filepath.Join(bin, "mapwarden.real")
	if out, err := exec.Command("go", "build", "-o", real, "../cmd/mapwarden").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	wrapper := fmt.Sprintf(`#!/bin/sh
if [ "$1" = run ]; then
  exec %[1]q "$@" --listen 127.0.0.1:%[2]s --registry-listen 127.0.0.1:%[3]s --dns-listen 127.0.0.1:%[4]s
fi
exec %[1]q "$@" --addr http://127.0.0.1:%[2]s
`, real, ports["9750"], ports["9751"], ports["9753"])
	if err := os.WriteFile(filepath.Join(bin, "mapwarden"), []byte(wrapper), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(python, filepath.Join(bin, "python3")); err != nil {
		t.Fatal(err)
	}
	return bin
}
