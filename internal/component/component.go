// Package component finds what some tests need from outside: the AWS command
// line, boto3, the JavaScript SDK, servers that are probed, a browser, AWS's description
// of Cloud Map. It decides what happens where one is missing: with MAPWARDEN_COMPONENTS=required
// in the environment the test fails, which is how `make test` and CI run; without
// it the test is left out and says so. It installs nothing (scripts/components.sh
// does) and ships in no binary.
package component

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// Name is a component that a test may need.
type Name string

// The components, and what Need returns for each.
const (
	AWS      Name = "aws"      // the AWS command line, version 1 or 2: the path of aws
	Boto3    Name = "boto3"    // the Python SDK: the path of a python3 that imports it
	JS       Name = "js"       // the JavaScript SDK: the path of a node that finds it in JSModules
	NGINX    Name = "nginx"    // a web server: its path
	HAProxy  Name = "haproxy"  // a load balancer: its path
	Postgres Name = "postgres" // the PostgreSQL server: its path; initdb lies beside it, and neither runs as root
	Chromium Name = "chromium" // a headless browser: its path; root must pass --no-sandbox
	AWSModel Name = "model"    // AWS's description of Cloud Map in its first SDK for Go: the path of the file
)

// env names the variable that turns a left-out test into a failed one.
const env = "MAPWARDEN_COMPONENTS"

// recipe says how a component is found and what its Debian package is called.
// The first candidate that runs to its end with status 0 is taken: a shim on
// the PATH is not yet a working program.
type recipe struct {
	candidates []string      // programs
	proof      []string      // arguments that prove one
	file       func() string // instead of a program: its path
	get        string        // how it is had, other than by make components
}

var recipes = map[Name]recipe{
	AWS:      {[]string{"aws"}, []string{"--version"}, nil, "apt-get install awscli"},
	Boto3:    {[]string{"python3", "/usr/bin/python3"}, []string{"-c", "import boto3"}, nil, "apt-get install python3-boto3"},
	JS:       {[]string{"node", "nodejs"}, []string{"-e", "require(" + strconv.Quote(filepath.Join(JSModules(), jsPackage)) + ")"}, nil, "node 18 and npm"},
	NGINX:    {[]string{"nginx", "/usr/sbin/nginx"}, []string{"-v"}, nil, "apt-get install nginx-light"},
	HAProxy:  {[]string{"haproxy", "/usr/sbin/haproxy"}, []string{"-v"}, nil, "apt-get install haproxy"},
	Postgres: {postgresPlaces(), []string{"--version"}, nil, "apt-get install postgresql"},
	Chromium: {[]string{"chromium", "chromium-browser", "google-chrome"}, []string{"--version"}, nil, "apt-get install chromium"},
	AWSModel: {file: awsModel, get: "go mod download " + awsSDK1},
}

// postgresPlaces are the PATH and, newest last, where Debian keeps its servers.
func postgresPlaces() []string {
	places, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	return append(places, "postgres")
}

// awsSDK1 is the last version of AWS's first SDK for Go. Nothing is built of it.
const awsSDK1 = "github.com/aws/aws-sdk-go@v1.55.8"

func awsModel() string {
	cache, err := exec.Command("go", "env", "GOMODCACHE").Output()
	if err != nil {
		return ""
	}
	return filepath.Join(strings.TrimSpace(string(cache)), awsSDK1, "models/apis/servicediscovery/2017-03-14/api-2.json")
}

const jsPackage = "@aws-sdk/client-servicediscovery"

// JSModules is the directory of the JavaScript packages, for NODE_PATH.
// scripts/components.sh fills it: from js/package-lock.json, outside the
// repository.
func JSModules() string {
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	return filepath.Join(cache, "mapwarden", "js", "node_modules")
}

// Need returns the program, or the file, of component c. Where it is missing the test ends
// here: failed when components are required, otherwise left out with a line
// that names the test, the component and how to get it.
func Need(t testing.TB, c Name) string {
	t.Helper()
	r, ok := recipes[c]
	if !ok {
		t.Fatalf("component %q is not known; see package component", c)
	}
	path, ok := find(r)
	if ok {
		return path
	}
	line := fmt.Sprintf("%s needs %s (%s, or make components)", t.Name(), c, r.get)
	if required(os.Getenv(env)) {
		t.Fatal(line)
	}
	say("LEFT OUT: " + line)
	t.Skip("LEFT OUT: " + line)
	return ""
}

// LeftOut ends a test that this machine cannot run, with a line that says why.
// It is for what no script can install; the caller has made sure that the
// machine lacks it.
func LeftOut(t testing.TB, why string) {
	t.Helper()
	line := "LEFT OUT: " + t.Name() + ": " + why
	say(line)
	t.Skip(line)
}

func required(value string) bool { return value == "required" }

func find(r recipe) (string, bool) {
	if r.file != nil {
		path := r.file()
		_, err := os.Stat(path)
		return path, err == nil
	}
	for _, candidate := range r.candidates {
		path, err := exec.LookPath(candidate)
		if err != nil {
			continue
		}
		if exec.Command(path, r.proof...).Run() == nil {
			return path, true
		}
	}
	return "", false
}

// say reaches the person at the terminal. The go command swallows what a
// passing test prints, and a test that did not run must not look like one that
// passed. Without a terminal there is nobody to tell.
func say(line string) {
	tty, err := os.OpenFile("/dev/tty", os.O_WRONLY, 0)
	if err != nil {
		return
	}
	defer tty.Close()
	fmt.Fprintln(tty, line)
}
