package fleetsim

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// seeds is how many random stories TestSeeds plays; MAPWARDEN_SEEDS raises it.
func seeds(t *testing.T) int { return fromEnvironment(t, "MAPWARDEN_SEEDS", 120) }

func fromEnvironment(t *testing.T, name string, otherwise int) int {
	v := os.Getenv(name)
	if v == "" {
		return max(1, otherwise/few)
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 {
		t.Fatalf("%s=%q is not a number of seeds", name, v)
	}
	return n
}

// telling are seeds that broke something once.
var telling = []uint64{229, 257, 263}

// TestSeeds plays random stories and holds them to the invariants. A failing
// seed is played again with `mapwarden simulate SEED`.
func TestSeeds(t *testing.T) {
	bad := 0
	for seed := range uint64(seeds(t) + len(telling)) {
		if n := seed - uint64(seeds(t)); seed >= uint64(seeds(t)) {
			seed = telling[n]
		}
		story := Random(seed)
		result, err := Run(story)
		if err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, story.Text)
		}
		if len(result.Failures) == 0 {
			continue
		}
		t.Errorf("seed %d:\n%s", seed, strings.Join(result.Failures, "\n"))
		if bad++; bad == 5 {
			t.FailNow()
		}
	}
}

// TestStoriesWithOtherSeeds plays every story with other chances than those of
// its timeline: what it expects holds, but for what it expects `here`, and no
// invariant is broken. MAPWARDEN_STORY_SEEDS raises the number.
func TestStoriesWithOtherSeeds(t *testing.T) {
	files, err := filepath.Glob("testdata/[0-9S]*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no stories: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			story := read(t, file)
			story.Settings.Untraced = true
			n := fromEnvironment(t, "MAPWARDEN_STORY_SEEDS", 20)
			if story.large() {
				n = max(1, n/20)
			}
			for k := range uint64(n) {
				seed := 1000 + k
				result, err := Run(story.WithSeed(seed))
				if err != nil {
					t.Fatal(err)
				}
				for _, f := range result.Failures {
					t.Errorf("seed %d: %s", seed, f)
				}
				if t.Failed() {
					return
				}
			}
		})
	}
}

// large stories take more than half a second of a processor.
func (st *Story) large() bool {
	targets := 0
	for i := range st.Services {
		targets += st.Services[i].Instances
	}
	return targets*len(st.Settings.Vantages)*int(st.Length.Minutes()) > 1_000
}

func read(t *testing.T, file string) Story {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	story, err := Parse(file, string(text))
	if err != nil {
		t.Fatal(err)
	}
	return story
}
