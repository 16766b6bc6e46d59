package qr_test

import (
	"encoding/xml"
	"fmt"
	"strings"
	"testing"
)

// run is a stretch of dark modules in a row.
type run struct{ x, y, width int }

// svgRuns reads the dark path of an image back.
func svgRuns(t *testing.T, svg string) []run {
	t.Helper()
	var doc struct {
		Paths []struct {
			Fill string `xml:"fill,attr"`
			D    string `xml:"d,attr"`
		} `xml:"path"`
	}
	if err := xml.Unmarshal([]byte(svg), &doc); err != nil {
		t.Fatal(err)
	}
	if len(doc.Paths) != 2 || doc.Paths[0].Fill != "#fff" || doc.Paths[1].Fill != "" {
		t.Fatalf("the paths are %+v", doc.Paths)
	}
	var runs []run
	for _, part := range strings.Split(strings.TrimSuffix(doc.Paths[1].D, "z"), "z") {
		var r run
		var back int
		if n, err := fmt.Sscanf(part, "M%d %dh%dv1h-%d", &r.x, &r.y, &r.width, &back); n != 4 || err != nil || back != r.width {
			t.Fatalf("path %q: %v", part, err)
		}
		runs = append(runs, r)
	}
	return runs
}
