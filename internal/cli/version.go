package cli

import (
	"cmp"
	"io"
	"path"
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
		Example: `  vpn version
  vpn version --json version,commit
  vpn version --licenses`,
		RunE: func(*cobra.Command, []string) error {
			if licenses {
				_, err := io.WriteString(p.Out, notices.Text())
				return written(err)
			}
			return printVersion(p.printer())
		},
	}
	cmd.Flags().BoolVar(&licenses, "licenses", false, "print the licences of the code that is linked in")
	return answers[versionInfo](p, cmd)
}

// engines are the modules that carry packets: what is asked about first when
// a client does not connect. Those that are not linked in are not shown.
func engines() []string {
	return []string{
		"github.com/xtls/xray-core", "github.com/xtls/reality", "golang.zx2c4.com/wireguard",
		"golang.getoutline.org/sdk", "golang.getoutline.org/tunnel-server",
	}
}

// versionInfo is what "version -o json" prints.
type versionInfo struct {
	Version string       `json:"version"`
	Commit  string       `json:"commit,omitempty"`
	Dirty   bool         `json:"dirty"`          // the source had changes that no commit has
	Date    string       `json:"date,omitempty"` // of the commit
	Go      string       `json:"go"`
	OS      string       `json:"os"`
	Arch    string       `json:"arch"`
	Engines []engineInfo `json:"engines"`
}

type engineInfo struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Module  string `json:"module"`
}

// buildInfo reads what the linker wrote into this program.
func buildInfo() versionInfo {
	b, ok := debug.ReadBuildInfo()
	if !ok {
		b = &debug.BuildInfo{}
	}
	return versionOf(b)
}

func versionOf(b *debug.BuildInfo) versionInfo {
	v := versionInfo{
		Version: "devel", Go: strings.TrimPrefix(runtime.Version(), "go"),
		OS: runtime.GOOS, Arch: runtime.GOARCH, Engines: []engineInfo{},
	}
	if main := strings.TrimPrefix(b.Main.Version, "v"); main != "" && main != "(devel)" {
		v.Version = main
	}
	for _, s := range b.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Commit = s.Value
		case "vcs.time":
			v.Date = s.Value
		case "vcs.modified":
			v.Dirty = s.Value == "true"
		}
	}
	linked := map[string]string{}
	for _, m := range b.Deps {
		if m.Replace != nil {
			linked[m.Path] = m.Replace.Version
			continue
		}
		linked[m.Path] = m.Version
	}
	for _, module := range engines() {
		if version, ok := linked[module]; ok {
			v.Engines = append(v.Engines, engineInfo{
				Name: path.Base(module), Version: strings.TrimPrefix(version, "v"), Module: module,
			})
		}
	}
	return v
}

func printVersion(out *printer) error {
	v := buildInfo()
	commit := cmp.Or(v.Commit, "unknown")
	if v.Dirty {
		commit += " (dirty)"
	}
	fields := []any{"vpn", v.Version, "commit", commit, "date", v.Date, "go", v.Go + " " + v.OS + "/" + v.Arch}
	for _, e := range v.Engines {
		fields = append(fields, e.Name, e.Version)
	}
	return out.show(answer{data: v, names: []string{v.Version}, quiet: []string{v.Version}, fields: fields})
}
