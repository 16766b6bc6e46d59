package cli

import (
	"cmp"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

func versionCommand(p *program) *cobra.Command {
	return answers[versionInfo](p, &cobra.Command{
		Use: "version", Short: "Print the version of this program and its engines", Args: exactly(),
		Example: `  vpn version
  vpn version --json version,commit`,
		RunE: func(*cobra.Command, []string) error { return printVersion(p.printer()) },
	})
}

// engines are the modules that carry packets: what is asked about first when
// a client does not connect.
var engines = []string{"github.com/xtls/xray-core", "github.com/xtls/reality"}

// versionInfo is what "version -o json" prints.
type versionInfo struct {
	Version  string            `json:"version"`
	Commit   string            `json:"commit,omitempty"`
	Time     string            `json:"time,omitempty"` // of the commit
	Modified bool              `json:"modified,omitempty"`
	Go       string            `json:"go"`
	Platform string            `json:"platform"`
	Engines  map[string]string `json:"engines"`
}

// buildInfo reads what the linker wrote into this program.
func buildInfo() versionInfo {
	v := versionInfo{
		Version: "devel", Go: strings.TrimPrefix(runtime.Version(), "go"),
		Platform: runtime.GOOS + "/" + runtime.GOARCH, Engines: map[string]string{},
	}
	b, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if main := strings.TrimPrefix(b.Main.Version, "v"); main != "" && main != "(devel)" {
		v.Version = main
	}
	for _, s := range b.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Commit = s.Value
		case "vcs.time":
			v.Time = s.Value
		case "vcs.modified":
			v.Modified = s.Value == "true"
		}
	}
	for _, module := range b.Deps {
		for _, engine := range engines {
			if module.Path == engine {
				v.Engines[engine[strings.LastIndex(engine, "/")+1:]] = strings.TrimPrefix(module.Version, "v")
			}
		}
	}
	return v
}

func printVersion(out *printer) error {
	v := buildInfo()
	commit := cmp.Or(v.Commit, "unknown")
	if v.Modified {
		commit += " (modified)"
	}
	return out.show(answer{data: v, names: []string{v.Version}, quiet: []string{v.Version}, fields: []any{
		"vpn", v.Version,
		"commit", commit,
		"date", v.Time,
		"go", v.Go + " " + v.Platform,
		"xray-core", v.Engines["xray-core"],
		"reality", v.Engines["reality"],
	}})
}
