package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "vpn/"

// may lists, for each package of ours, which others of ours it may import.
// Patterns are path.Match's, the first row that matches rules, and what
// matches no row may import nothing.
var may = []struct{ pkg, imports string }{
	{"internal/vpn", ""},
	{"internal/arch", ""},
	{"internal/qr", ""},
	{"internal/notices", ""},
	{"internal/logging", "internal/vpn"},
	{"internal/config", "internal/vpn"},
	{"internal/network", "internal/vpn"},
	{"internal/network/networktest", ""},
	{"internal/firewall", ""},
	{"internal/router", "internal/vpn internal/engine/egress"},
	{"internal/clock", ""},
	{"internal/host", "internal/vpn"},
	{"internal/probe", "internal/vpn"},
	{"internal/service", "internal/vpn internal/selfupdate"},
	{"internal/selfupdate", "internal/vpn"},
	{"internal/compose", "internal/vpn"},
	{"internal/compose/containers", "internal/vpn internal/compose internal/docker internal/logging"},
	{"internal/compose/installed", "internal/vpn"},
	{"internal/docker", "internal/vpn"},
	{"internal/container", "internal/vpn internal/worker"},

	{"internal/protocol", "internal/vpn"},
	{"internal/protocol/all", "internal/protocol internal/protocol/*"},
	{"internal/protocol/protocoltest", "internal/vpn internal/protocol"},
	{"internal/protocol/*", "internal/vpn internal/protocol"},

	{"internal/engine", "internal/vpn internal/engine/meter internal/engine/egress"},
	{"internal/engine/all", "internal/vpn internal/engine internal/engine/*"},
	{"internal/engine/meter", "internal/vpn internal/clock"},
	{"internal/engine/splice", ""},
	{"internal/engine/inbound", "internal/vpn internal/engine/meter"},
	{"internal/engine/egress", "internal/vpn"},
	{"internal/engine/enginetest", "internal/vpn internal/engine internal/engine/meter internal/engine/egress"},
	{"internal/engine/shadowsocks", "internal/vpn internal/engine internal/engine/meter internal/engine/egress internal/engine/inbound internal/engine/shadowsocks/* internal/protocol internal/protocol/shadowsocks"},
	{"internal/engine/shadowsocks/*", "internal/vpn internal/engine internal/engine/meter internal/engine/egress internal/engine/inbound internal/protocol internal/protocol/shadowsocks"},
	{"internal/engine/*", "internal/vpn internal/engine internal/engine/meter internal/engine/egress internal/engine/splice internal/engine/inbound internal/protocol/*"},

	{"internal/worker", "internal/vpn internal/engine internal/engine/meter internal/engine/egress"},
	{"internal/runtime", "internal/vpn internal/app"},
	{"internal/runtime/runtimetest", "internal/vpn internal/app internal/container internal/engine internal/engine/* internal/worker internal/network"},
	{"internal/runtime/docker", "internal/vpn internal/app internal/container internal/docker internal/worker"},
	{"internal/runtime/*", "internal/vpn internal/app internal/worker internal/network"},

	{"internal/app", "internal/vpn internal/protocol internal/clock"},
	{"internal/store/storetest", "internal/vpn internal/app"},
	{"internal/store/*", "internal/vpn internal/app"},

	{"internal/fields", ""},
	{"internal/api", "internal/vpn internal/fields"},
	{"internal/client", "internal/vpn internal/fields"},
	{"internal/remote", "internal/vpn"},
	{"internal/tui/theme", "internal/vpn"},
	{"internal/tui/widget", "internal/tui/theme"},
	{"internal/tui/key", "internal/vpn"},
	{"internal/tui/feed", "internal/vpn"},
	{"internal/tui/page", "internal/tui/feed internal/tui/key internal/tui/theme"},
	{"internal/tui/dialog", "internal/vpn internal/qr internal/tui/page internal/tui/key internal/tui/theme internal/tui/widget"},
	{"internal/tui/page/*", "internal/vpn internal/qr internal/protocol internal/tui/page internal/tui/dialog internal/tui/feed internal/tui/key internal/tui/theme internal/tui/widget"},
	{"internal/tui/preference", "internal/vpn internal/tui/key internal/tui/theme"},
	{"internal/tui/screens", "internal/vpn internal/client internal/probe internal/protocol internal/tui/page internal/tui/page/* internal/tui/preference"},
	{"internal/tui/tuitest", "internal/vpn internal/tui internal/tui/*"},
	{"internal/tui", "internal/vpn internal/client internal/tui/*"},
	{"internal/daemon", "internal/*  internal/*/*"},
	{"internal/cli", "internal/compose internal/compose/* internal/tui internal/tui/* internal/vpn internal/client internal/config internal/container internal/daemon internal/docker internal/logging internal/notices internal/probe internal/protocol internal/protocol/all internal/qr internal/remote internal/selfupdate internal/service internal/worker internal/engine/all"},
	{"cmd/vpn", "internal/cli"},

	{"test/e2e", "internal/vpn test/e2e/* test/figures"},
	{"test/e2e/*", "internal/vpn test/xfer"},
	{"test/*", "internal/vpn"},
	{"test/*/*", "internal/vpn"},
}

// only lists who may import what is heavy or dangerous. Tests are free.
var only = map[string]string{
	"os/exec":                         "internal/runtime/process internal/runtime/runtimetest internal/network/networktest internal/daemon internal/selfupdate internal/service internal/remote test/e2e/* test/notices internal/compose/installed",
	"database/sql":                    "internal/store/sqlite",
	"modernc.org/sqlite":              "internal/store/sqlite",
	"github.com/pressly/goose":        "internal/store/sqlite",
	"github.com/xtls/xray-core":       "internal/engine/vless",
	"github.com/xtls/reality":         "internal/engine/vless",
	"golang.zx2c4.com/wireguard":      "internal/engine/wireguard test/e2e/*",
	"gvisor.dev/gvisor":               "internal/engine/wireguard",
	"github.com/Jigsaw-Code":          "internal/engine/shadowsocks test/outline",
	"github.com/spf13/cobra":          "internal/cli",
	"charm.land":                      "internal/tui internal/tui/* internal/tui/page/* internal/cli",
	"github.com/charmbracelet":        "internal/tui internal/tui/* test/e2e/*",
	"github.com/sahilm/fuzzy":         "internal/tui/dialog",
	"github.com/danielgtaylor/huma":   "internal/api",
	"go.yaml.in/yaml":                 "internal/config internal/cli internal/tui/preference internal/compose",
	"github.com/skip2/go-qrcode":      "internal/qr",
	"github.com/google/nftables":      "internal/router",
	"github.com/mdlayher/netlink":     "internal/router",
	"github.com/moby/moby":            "internal/docker internal/runtime/docker internal/compose/containers",
	"github.com/containerd/errdefs":   "internal/docker",
	"vpn/internal/daemon":             "internal/cli",
	"vpn/internal/engine/all":         "internal/cli",
	"net/http":                        "internal/api internal/client internal/cli internal/daemon internal/remote internal/worker internal/engine/vless internal/engine/proxy internal/probe internal/runtime/process test/e2e/* test/xfer internal/runtime/compose",
	"golang.org/x/sys/unix":           "internal/worker internal/container internal/runtime/process internal/runtime/docker internal/runtime/runtimetest internal/daemon internal/network internal/network/networktest internal/host internal/firewall internal/router internal/engine/vless internal/engine/wireguard internal/engine/splice internal/store/sqlite internal/store/* internal/cli internal/selfupdate test/e2e/*",
	"encoding/gob":                    "",
	"html/template":                   "", // where one of the two is, the linker keeps every method of every type
	"text/template":                   "",
	"github.com/google/uuid":          "internal/protocol/vless internal/engine/vless",
	"lukechampine.com/blake3":         "internal/engine/shadowsocks/sip022",
	"github.com/compose-spec":         "",
	"go.uber.org/goleak":              "",
	"github.com/google/go-cmp":        "",
	"pgregory.net/rapid":              "internal/*/*test",
	"github.com/rogpeppe/go-internal": "",
}

// reveals lists who may look into a secret: whoever renders configurations
// and links, stores secrets, or hands them to a worker.
const reveals = "internal/vpn internal/protocol/* internal/engine/* internal/worker internal/store/sqlite"

var banned = []string{
	"util", "utils", "common", "helper", "helpers", "misc", "base", "shared", "types",
	"model", "models", "service", "services", "manager",
}

// named lists packages with a banned name that is the right one, and why.
var named = map[string]string{
	"internal/service": "no layer, but the operating system's service, as in vpn service install",
}

// exempt lists what is larger than the caps, and why.
var exempt = map[string]string{}

const (
	maxLines   = 500
	maxMethods = 20
)

func TestImports(t *testing.T) {
	for _, p := range packages(t) {
		for _, imp := range p.imports {
			if ours, ok := strings.CutPrefix(imp, module); ok && !matches(allowed(p.path), ours) {
				t.Errorf("%s must not import %s", p.path, ours)
			}
			for guarded, who := range only {
				if (imp == guarded || strings.HasPrefix(imp, guarded+"/")) && !matches(who, p.path) {
					t.Errorf("%s must not import %s: only %q may", p.path, imp, who)
				}
			}
		}
	}
}

func TestSecretsAreRevealedWhereTheyMust(t *testing.T) {
	for _, p := range packages(t) {
		if p.reveals && !matches(reveals, p.path) {
			t.Errorf("%s calls Secret.Reveal: only %q may", p.path, reveals)
		}
	}
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	for _, p := range packages(t) {
		if p.doc == "" {
			t.Errorf("%s has no package comment", p.path)
		}
		if slices.Contains(banned, p.name) && named[p.path] == "" {
			t.Errorf("%s: a package is named after what it provides", p.path)
		}
	}
}

func TestNothingGrowsTooBig(t *testing.T) {
	for _, p := range packages(t) {
		for file, n := range p.lines {
			if name := p.path + "/" + file; n > maxLines && exempt[name] == "" {
				t.Errorf("%s has %d lines, more than %d", name, n, maxLines)
			}
		}
		if strings.HasSuffix(p.name, "test") {
			continue // a suite has a method per promise
		}
		for typ, n := range p.methods {
			if name := p.path + "." + typ; n > maxMethods && exempt[name] == "" {
				t.Errorf("%s has %d methods, more than %d", name, n, maxMethods)
			}
		}
	}
}

func TestNoInitAndNoStrayGlobals(t *testing.T) {
	for _, p := range packages(t) {
		for _, what := range p.smells {
			t.Errorf("%s: %s", p.path, what)
		}
	}
}

// Each protocol folder is listed, and so is each engine's.
func TestEveryProtocolIsListed(t *testing.T) {
	ps := packages(t)
	for _, kind := range []string{"protocol", "engine"} {
		list := ps["internal/"+kind+"/all"]
		if list == nil {
			t.Fatalf("internal/%s/all is missing", kind)
		}
		for _, p := range ps {
			dir, name := path.Split(p.path)
			// What is below a folder belongs to it, and to nobody else.
			if over := path.Dir(p.path); path.Dir(over) == "internal/"+kind && ps[over] != nil && !slices.Contains(ps[over].imports, module+p.path) {
				t.Errorf("%s does not import %s", over, p.path)
			}
			if dir != "internal/"+kind+"/" || slices.Contains([]string{"all", "meter", "egress", "splice", "inbound", kind + "test"}, name) {
				continue
			}
			if !slices.Contains(list.imports, module+p.path) {
				t.Errorf("%s is not in internal/%s/all", p.path, kind)
			}
		}
	}
}

// xray-core could pull these in, which are under the GPL: on another processor
// or with a tag as well as here. What all other modules are under is looked at
// by test/notices.
func TestLicences(t *testing.T) {
	packages(t) // the sources are read, so the test cache knows when they change
	for _, arch := range []string{"amd64", "arm64", "arm", "386", "riscv64"} {
		for _, tags := range []string{"", "e2e"} {
			cmd := exec.Command("go", "list", "-deps", "-tags", tags, "vpn/cmd/vpn")
			cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch)
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("go list for %s: %v\n%s", arch, err, out)
			}
			for line := range strings.Lines(string(out)) {
				if strings.Contains(line, "github.com/sagernet/") {
					t.Errorf("GPL code is linked in on %s with tags %q: %s", arch, tags, line)
				}
			}
		}
	}
}

// libc's generated code belongs to one version of the SQLite driver.
func TestSQLiteAndItsLibcBelongTogether(t *testing.T) {
	packages(t)
	mod := func(args ...string) string {
		out, err := exec.Command("go", append([]string{"list", "-m"}, args...)...).Output()
		if err != nil {
			t.Fatalf("go list -m %v: %v", args, err)
		}
		return strings.TrimSpace(string(out))
	}
	gomod, err := os.ReadFile(mod("-f", "{{.GoMod}}", "modernc.org/sqlite"))
	if err != nil {
		t.Fatal(err)
	}
	if have := mod("modernc.org/libc"); !strings.Contains(string(gomod), have) {
		t.Errorf("this module has %q, which the SQLite driver's go.mod does not name", have)
	}
}

type pkg struct {
	path, name, doc string
	imports         []string
	lines, methods  map[string]int // per file; per type
	smells          []string
	reveals         bool
}

// packages reads the tree itself. Were it to ask "go list", the test cache
// would not see what the answer depends on, and an old "ok" would stand.
func packages(t *testing.T) map[string]*pkg {
	t.Helper()
	ps := map[string]*pkg{}
	for _, root := range []string{"../../cmd", "../../internal", "../../test"} {
		err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
			if d != nil && d.IsDir() && d.Name() == "testdata" {
				return fs.SkipDir
			}
			if err != nil || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
				return err
			}
			return read(ps, file)
		})
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	if len(ps) < 5 {
		t.Fatalf("only %d packages were found", len(ps))
	}
	return ps
}

func read(ps map[string]*pkg, file string) error {
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, file, nil, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	dir := strings.TrimPrefix(path.Dir(filepath.ToSlash(file)), "../../")
	p := ps[dir]
	if p == nil {
		p = &pkg{path: dir, name: f.Name.Name, lines: map[string]int{}, methods: map[string]int{}}
		ps[dir] = p
	}
	p.doc += f.Doc.Text()
	for _, imp := range f.Imports {
		p.imports = append(p.imports, strings.Trim(imp.Path.Value, `"`))
	}
	p.lines[path.Base(filepath.ToSlash(file))] = fset.File(f.Pos()).LineCount()
	for _, d := range f.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok {
			if fn.Name.Name == "init" && fn.Recv == nil {
				p.smells = append(p.smells, "has an init function")
			}
			if fn.Recv != nil {
				p.methods[receiver(fn)]++
			}
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok && sel.Sel.Name == "Reveal" {
			p.reveals = true
		}
		return true
	})
	return nil
}

func receiver(fn *ast.FuncDecl) string {
	t := fn.Recv.List[0].Type
	for {
		switch x := t.(type) {
		case *ast.StarExpr:
			t = x.X
		case *ast.IndexExpr:
			t = x.X
		case *ast.Ident:
			return x.Name
		default:
			return "?"
		}
	}
}

func allowed(pkg string) string {
	for _, row := range may {
		if ok, _ := path.Match(row.pkg, pkg); ok {
			return row.imports
		}
	}
	return ""
}

func matches(patterns, pkg string) bool {
	for pattern := range strings.FieldsSeq(patterns) {
		if ok, _ := path.Match(pattern, pkg); ok {
			return true
		}
	}
	return false
}
