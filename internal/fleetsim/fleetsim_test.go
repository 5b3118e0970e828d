package fleetsim

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the timelines of the stories anew")

// TestStories plays every script in testdata and compares its timeline, line
// by line, with the one that is written under it. Commit an update only if you
// understand each line that changed.
func TestStories(t *testing.T) {
	files, err := filepath.Glob("testdata/[0-9S]*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no stories: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			story := read(t, file)
			result, err := Run(story)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range result.Failures {
				t.Error(f)
			}
			var got bytes.Buffer
			if err := result.WriteTimeline(&got); err != nil {
				t.Fatal(err)
			}
			if *update {
				if err := os.WriteFile(file, []byte(story.Text+divider+"\n"+got.String()), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(strings.Split(story.Want, "\n"), strings.Split(got.String(), "\n")); diff != "" {
				t.Errorf("the timeline is another (-want +got):\n%s", diff)
			}
		})
	}
}
