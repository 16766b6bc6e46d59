package cli

import (
	"cmp"
	"io"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"vpn/internal/notices"
)

func versionCommand(p *program) *cobra.Command {
	var licenses bool
	cmd := &cobra.Command{
		Use: "version", Short: "Print the version of this program and its engines", Args: exactly(),
		Example: "  vpn version\n  vpn version --licenses",
		RunE: func(*cobra.Command, []string) error {
			if licenses {
				_, err := io.WriteString(p.Out, notices.Text())
				return err
			}
			return printVersion(p.printer())
		},
	}
	cmd.Flags().BoolVar(&licenses, "licenses", false, "print the licences of the code that is linked in")
	return cmd
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
	if out.json {
		return out.JSON(v)
	}
	if out.quiet {
		return out.lines([]string{v.Version})
	}
	commit := cmp.Or(v.Commit, "unknown")
	if v.Modified {
		commit += " (modified)"
	}
	return out.fields(
		"vpn", v.Version,
		"commit", commit,
		"date", v.Time,
		"go", v.Go+" "+v.Platform,
		"xray-core", v.Engines["xray-core"],
		"reality", v.Engines["reality"],
	)
}
