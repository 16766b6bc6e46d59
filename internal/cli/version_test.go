package cli

import (
	"encoding/json"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestVersionOf(t *testing.T) {
	got := versionOf(&debug.BuildInfo{
		Main: debug.Module{Path: "vpn", Version: "v1.2.3"},
		Deps: []*debug.Module{
			{Path: "golang.zx2c4.com/wireguard", Version: "v0.0.1", Replace: &debug.Module{Path: "example.org/fork", Version: "v0.0.2"}},
			{Path: "github.com/spf13/cobra", Version: "v1.10.2"},
			{Path: "github.com/xtls/xray-core", Version: "v1.260327.1"},
		},
		Settings: []debug.BuildSetting{
			{Key: "vcs.revision", Value: "0a1b"}, {Key: "vcs.time", Value: "2026-11-25T20:00:00Z"}, {Key: "vcs.modified", Value: "true"},
		},
	})
	want := versionInfo{
		Version: "1.2.3", Commit: "0a1b", Dirty: true, Date: "2026-11-25T20:00:00Z",
		Go: strings.TrimPrefix(runtime.Version(), "go"), OS: runtime.GOOS, Arch: runtime.GOARCH,
		Engines: []engineInfo{
			{"xray-core", "1.260327.1", "github.com/xtls/xray-core"},
			{"wireguard", "0.0.2", "golang.zx2c4.com/wireguard"},
		},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if got := versionOf(&debug.BuildInfo{}); got.Version != "devel" || got.Commit != "" || len(got.Engines) != 0 {
		t.Errorf("of nothing: %+v", got)
	}
}

// TestVersionJSON: the keys are what programs know.
func TestVersionJSON(t *testing.T) {
	got := newRunner().run(t, "version", "-o", "json")
	var v map[string]any
	if err := json.Unmarshal([]byte(got.out), &v); err != nil || got.status != 0 {
		t.Fatalf("%+v: %v", got, err)
	}
	for _, key := range []string{"version", "dirty", "go", "os", "arch", "engines"} {
		if _, ok := v[key]; !ok {
			t.Errorf("there is no %s in %s", key, got.out)
		}
	}
}
