package main

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// targets are the systems that the product is built for. The notices cover
// all of them: one file goes with every binary.
var targets = []string{"amd64", "arm64", "arm", "386", "riscv64"}

// standard stands for the standard library, which is linked in but no module.
const standard = "Go standard library and runtime"

// A module is one from which packages are linked in.
type module struct {
	path, version string
	files         map[string]string // what it says about licences: by path inside the module
}

// linked returns the modules from which at least one package is linked into
// the product, on any target, by path.
func linked() ([]*module, error) {
	found := map[string]*module{}
	for _, arch := range targets {
		packages, err := list(arch, "")
		if err != nil {
			return nil, err
		}
		for _, p := range packages {
			m := found[p.module]
			if m == nil {
				m = &module{path: p.module, version: p.version, files: map[string]string{}}
				found[p.module] = m
			}
			if err := m.read(p.root, p.dir); err != nil {
				return nil, err
			}
		}
	}
	// Its licence is that of Go's own modules, word for word, and not every
	// distribution of Go has the file where it belongs.
	sys := found["golang.org/x/sys"]
	if sys == nil {
		return nil, fmt.Errorf("golang.org/x/sys, whose licence is that of Go, is no longer linked in")
	}
	found[standard] = &module{path: standard, files: map[string]string{"LICENSE": sys.files["LICENSE"]}}
	return slices.SortedFunc(maps.Values(found), func(a, b *module) int { return strings.Compare(a.path, b.path) }), nil
}

// A linkedPackage is one package of a module.
type linkedPackage struct{ path, module, version, root, dir string }

// list returns the packages of other modules that are linked in on Linux.
func list(arch, tags string) ([]linkedPackage, error) {
	const format = `{{with .Module}}{{if not .Main}}{{$.ImportPath}}|{{.Path}}|{{.Version}}|{{.Dir}}|{{$.Dir}}{{end}}{{end}}`
	cmd := exec.Command("go", "list", "-deps", "-tags", tags, "-f", format, "vpn/cmd/vpn")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch)
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list for %s: %w\n%s", arch, err, errs.String())
	}
	var packages []linkedPackage
	for line := range strings.Lines(string(out)) {
		f := strings.Split(strings.TrimSpace(line), "|")
		if len(f) == 5 {
			packages = append(packages, linkedPackage{f[0], f[1], f[2], f[3], f[4]})
		}
	}
	return packages, nil
}

// legal is the name of a file that says under what licence the code beside and
// below it is. The licence of a logo or of documentation is not about code.
var (
	legal = regexp.MustCompile(`(?i)^((un)?licen[sc]e|copying|notice|copyright)([-_.].*)?$`)
	other = regexp.MustCompile(`(?i)logo|[.]docs$`)
)

// repeats is a file that lists what others in this list say themselves, and
// much that is not linked in.
const repeats = "modernc.org/sqlite/LICENSE-3RD-PARTY.md"

// read collects the files of a package's directory and of those above it.
func (m *module) read(root, dir string) error {
	for ; len(dir) >= len(root); dir = filepath.Dir(dir) {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if e.IsDir() || !legal.MatchString(e.Name()) || other.MatchString(e.Name()) || m.path+"/"+e.Name() == repeats {
				continue
			}
			path := filepath.Join(dir, e.Name())
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			m.files[strings.TrimPrefix(path, root+"/")] = strings.ReplaceAll(string(text), "\r\n", "\n")
		}
	}
	return nil
}
