//go:build linux && e2e

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var overstruck = regexp.MustCompile(".\x08")

// What the binary writes as man pages, man reads without a complaint.
func TestManPagesRender(t *testing.T) {
	t.Parallel()
	groff := program(t, "groff", "groff-base")
	dir := t.TempDir()
	if out, err := exec.Command(os.Getenv("VPN_E2E_BINARY"), "man", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	pages, err := filepath.Glob(filepath.Join(dir, "*.1"))
	if err != nil || len(pages) < 30 {
		t.Fatalf("%d pages, %v", len(pages), err)
	}
	for _, page := range pages {
		cmd := exec.CommandContext(t.Context(), groff, "-man", "-ww", "-Tutf8", "-P-c", page)
		var errs strings.Builder
		cmd.Stderr = &errs
		out, err := cmd.Output()
		if err != nil || errs.Len() > 0 {
			t.Errorf("%s: %v\n%s", filepath.Base(page), err, errs.String())
		}
		// Bold is a letter printed twice.
		text := overstruck.ReplaceAllString(string(out), "")
		name := strings.TrimSuffix(filepath.Base(page), ".1")
		words := strings.Join(strings.Fields(text), " ")
		if !strings.Contains(words, " NAME "+name+" - ") || !strings.Contains(words, " SYNOPSIS vpn ") {
			t.Errorf("%s renders as\n%s", filepath.Base(page), text)
		}
	}
}
