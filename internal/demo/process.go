package demo

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// UntilEOF is the flag with which every child is started: it ends when its
// standard input does, so that no process outlives the demo, however it ends.
const UntilEOF = "--until-eof"

// process is one child: this binary again, in another part.
type process struct {
	name  string
	cmd   *exec.Cmd
	stdin io.WriteCloser
	log   *os.File
	lines chan string // standard output, line by line; nil where nobody reads it
	done  chan struct{}
	once  sync.Once
}

// start runs the binary with args. Standard error goes to a log in dir;
// standard output, too, unless it is read.
func start(binary, dir, name string, read bool, args ...string) (*process, error) {
	log, err := os.OpenFile(filepath.Join(dir, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	p := &process{name: name, log: log, done: make(chan struct{})}
	p.cmd = exec.Command(binary, append(args, UntilEOF)...)
	p.cmd.Stderr = log
	p.cmd.Env = environment()
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	var out io.ReadCloser
	if read {
		if out, err = p.cmd.StdoutPipe(); err != nil {
			return nil, err
		}
		p.lines = make(chan string, 1024)
	} else {
		p.cmd.Stdout = log
	}
	if err := p.cmd.Start(); err != nil {
		log.Close()
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go p.wait(out)
	return p, nil
}

// environment is ours without what could lead a child elsewhere: AWS
// credentials, endpoints and proxies.
func environment() (out []string) {
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		if strings.HasPrefix(name, "AWS_") || strings.HasSuffix(strings.ToLower(name), "_proxy") {
			continue
		}
		out = append(out, kv)
	}
	return out
}

func (p *process) wait(out io.Reader) {
	defer close(p.done)
	defer p.log.Close()
	if out != nil {
		s := bufio.NewScanner(out)
		s.Buffer(nil, 1<<20)
		for s.Scan() {
			p.lines <- s.Text()
		}
		close(p.lines)
	}
	p.cmd.Wait() // how it ended is in its log, and most are killed on purpose
}

func (p *process) signal(s syscall.Signal) { p.cmd.Process.Signal(s) }

// kill ends the process as a crash would.
func (p *process) kill() {
	p.signal(syscall.SIGKILL)
	<-p.done
}

// stop ends the process as an operator would, and kills it if it does not end.
func (p *process) stop() {
	p.once.Do(func() {
		p.signal(syscall.SIGCONT)
		p.stdin.Close()
		select {
		case <-p.done:
		case <-time.After(5 * time.Second):
			p.kill()
		}
	})
}

// listening waits for the line "listening NAME ADDRESS" of a child.
func (p *process) listening(ctx context.Context, name string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for {
		select {
		case line, ok := <-p.lines:
			if !ok {
				return "", fmt.Errorf("%s ended before it listened; see %s", p.name, p.log.Name())
			}
			if address, ok := strings.CutPrefix(line, "listening "+name+" "); ok {
				return address, nil
			}
		case <-ctx.Done():
			return "", fmt.Errorf("%s does not listen: %w; see %s", p.name, ctx.Err(), p.log.Name())
		}
	}
}
