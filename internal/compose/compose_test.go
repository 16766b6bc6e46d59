package compose_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/google/go-cmp/cmp"

	"vpn/internal/compose"
	"vpn/internal/vpn"
)

const store = "abcdefghijklmnop"

// input is a store with servers of every kind: a low port, a name that Compose
// would not have, the control plane's name, and one that is not meant to run.
func input() compose.Input {
	return compose.Input{
		Store: store, DataDir: "/var/lib/vpn", Image: "vpn:1.2.3-0123456789ab",
		Settings: map[string]string{"VPN_PUBLIC_HOST": "vpn.example.com"},
		Servers: []vpn.Server{
			{ID: "aaaaaaaaaaaaaaaa", Name: "main", Port: 443, Enabled: true, Runtime: vpn.RuntimeProcess},
			{ID: "bbbbbbbbbbbbbbbb", Name: "a@b", Port: 8388, Enabled: true, Runtime: vpn.RuntimeProcess},
			{ID: "cccccccccccccccc", Name: "control", Port: 8389, Enabled: true, Container: &vpn.Container{Memory: 64 << 20, PIDs: 99}},
			{ID: "dddddddddddddddd", Name: "off", Port: 8390, Runtime: vpn.RuntimeDocker},
		},
	}
}

func project(t *testing.T, in compose.Input) compose.Project {
	t.Helper()
	p, err := compose.New(in)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// written puts the project's files into a directory, as a person has them.
func written(t *testing.T, p compose.Project, e compose.Environment) (dir string, files []compose.File) {
	t.Helper()
	dir = t.TempDir()
	files, err := p.Files()
	if err != nil {
		t.Fatal(err)
	}
	choice := compose.Choice{Project: compose.ProjectName(store), Environment: e}
	for _, f := range append(slices.Clone(files), compose.File{Name: compose.EnvFile, Text: []byte(choice.Write(""))}) {
		if err := os.WriteFile(filepath.Join(dir, f.Name), f.Text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir, files
}

// Compose's own library reads each environment, chosen as a person chooses it,
// and understands what was meant.
func TestComposeUnderstandsEveryEnvironment(t *testing.T) {
	for _, c := range []struct {
		environment        compose.Environment
		level, restart     string
		logSize            string
		controlEnvironment int
	}{
		{compose.Development, "debug", "unless-stopped", "1m", 4},
		{compose.Staging, "info", "unless-stopped", "10m", 4},
		{compose.Production, "", "always", "20m", 3},
	} {
		t.Run(string(c.environment), func(t *testing.T) {
			dir, _ := written(t, project(t, input()), c.environment)
			p := load(t, dir)
			if p.Name != "vpn-abcdefgh" || !slices.Equal(p.ServiceNames(), []string{"a_b-bbbb", "control", "control-cccc", "main"}) {
				t.Fatalf("project %s has the services %v", p.Name, p.ServiceNames())
			}
			for name, s := range p.Services {
				if s.NetworkMode != "host" || !s.ReadOnly || !slices.Equal(s.CapDrop, []string{"ALL"}) || !slices.Equal(s.SecurityOpt, []string{"no-new-privileges"}) {
					t.Errorf("%s is not closed: %+v", name, s)
				}
				if s.Image != "vpn:1.2.3-0123456789ab" || s.PullPolicy != "never" || s.HealthCheck == nil || s.Restart != c.restart || s.Logging.Options["max-size"] != c.logSize || s.Logging.Driver != "json-file" {
					t.Errorf("%s: %+v %+v", name, s, s.Logging)
				}
				if len(s.Ports) > 0 || s.Privileged || s.PidsLimit == 0 || s.MemLimit == 0 {
					t.Errorf("%s: %+v", name, s)
				}
			}
			control := p.Services["control"]
			if len(control.Environment) != c.controlEnvironment || value(control, "VPN_LOG_LEVEL") != c.level ||
				value(control, "VPN_PUBLIC_HOST") != "vpn.example.com" || value(control, "VPN_RUNTIME") != "compose" {
				t.Errorf("the control plane's environment is %v", control.Environment)
			}
			main := p.Services["main"]
			if main.User != "0:0" || !slices.Equal(main.CapAdd, []string{"NET_BIND_SERVICE", "SETGID", "SETUID"}) {
				t.Errorf("a low port: user %s, %v", main.User, main.CapAdd)
			}
			if other := p.Services["a_b-bbbb"]; other.User != "65532:65532" || len(other.CapAdd) != 0 || other.Labels[compose.LabelName] != "a@b" {
				t.Errorf("a high port: %+v", other)
			}
			if limited := p.Services["control-cccc"]; limited.MemLimit != 64<<20 || limited.PidsLimit != 99 {
				t.Errorf("limits: %d, %d", limited.MemLimit, limited.PidsLimit)
			}
			if on := main.DependsOn["control"]; on.Condition != types.ServiceConditionStarted {
				t.Errorf("it depends on %+v", main.DependsOn)
			}
		})
	}
}

func load(t *testing.T, dir string) *types.Project {
	t.Helper()
	t.Chdir(dir) // where a person runs Compose
	o, err := cli.NewProjectOptions(nil, cli.WithWorkingDirectory(dir), cli.WithEnvFiles(), cli.WithDotEnv, cli.WithConfigFileEnv, cli.WithDefaultConfigPath)
	if err != nil {
		t.Fatal(err)
	}
	p, err := o.LoadProject(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func value(s types.ServiceConfig, name string) string {
	if v := s.Environment[name]; v != nil {
		return *v
	}
	return ""
}

// What Compose makes of the files, and what this package does, is the same.
func TestMergedAsComposeDoes(t *testing.T) {
	local := compose.File{Name: compose.LocalFile, Text: []byte(`
services:
  main:
    mem_limit: 512m
    cap_add: [SYS_NICE, SETUID]
    environment: {A: "$$5", VPN_X: y}
    volumes: ["/srv/x:/run/vpn", "/srv/y:/y:ro"]
    healthcheck: {interval: 7s, test: [CMD, /vpn, version]}
    logging: {options: {max-file: "9"}}
    labels: {a: b}
    command: [container, main, --verbose]
`)}
	p := project(t, input())
	dir, files := written(t, p, compose.Production)
	for _, f := range []compose.File{local, {Name: compose.EnvFile, Text: []byte(compose.Choice{Project: "x", Environment: compose.Production, Local: true}.Write(""))}} {
		if err := os.WriteFile(filepath.Join(dir, f.Name), f.Text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	theirs := load(t, dir).Services["main"]
	merged, err := compose.Load(files[0], byName(files, compose.Production.FileName()), local)
	if err != nil {
		t.Fatal(err)
	}
	ours := merged.Services["main"]
	environment := map[string]string{}
	for k, v := range theirs.Environment {
		environment[k] = *v
	}
	var volumes []string
	for _, v := range theirs.Volumes {
		mount := v.Source + ":" + v.Target
		if v.ReadOnly {
			mount += ":ro"
		}
		volumes = append(volumes, mount)
	}
	slices.Sort(volumes)
	slices.Sort(ours.Volumes)
	capabilities := slices.Sorted(slices.Values(theirs.CapAdd))
	slices.Sort(ours.CapAdd)
	for _, c := range []struct {
		what         string
		theirs, ours any
	}{
		{"environment", environment, ours.Environment},
		{"volumes", volumes, ours.Volumes},
		{"cap_add", capabilities, ours.CapAdd},
		{"command", []string(theirs.Command), ours.Command},
		{"labels", map[string]string(theirs.Labels), ours.Labels},
		{"mem_limit", uint64(theirs.MemLimit), uint64(ours.MemLimit)},
		{"restart", theirs.Restart, ours.Restart},
		{"user", theirs.User, ours.User},
		{"log options", map[string]string(theirs.Logging.Options), ours.Logging.Options},
		{"log driver", theirs.Logging.Driver, ours.Logging.Driver},
		{"health", []string(theirs.HealthCheck.Test), ours.Healthcheck.Test},
		{"interval", theirs.HealthCheck.Interval.String(), time.Duration(ours.Healthcheck.Interval).String()},
	} {
		if diff := cmp.Diff(c.theirs, c.ours); diff != "" {
			t.Errorf("%s (- Compose, + ours):\n%s", c.what, diff)
		}
	}
}

func byName(files []compose.File, name string) compose.File {
	return files[slices.IndexFunc(files, func(f compose.File) bool { return f.Name == name })]
}

// Text that is read back is what was written, whatever is in a path.
func TestTextIsReadBack(t *testing.T) {
	in := input()
	in.DataDir = "/srv/a $HOME/${x} \"ü\" # b"
	want := project(t, in)
	text, err := want.Text()
	if err != nil {
		t.Fatal(err)
	}
	got, err := compose.Load(compose.File{Name: "x.yaml", Text: text})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	dir, _ := written(t, want, compose.Staging)
	if v := load(t, dir).Services["control"].Volumes[0]; v.Source != in.DataDir || v.Target != in.DataDir {
		t.Errorf("Compose mounts %s at %s", v.Source, v.Target)
	}
}

func TestNothingThatIsNotUnderstoodIsLeftOut(t *testing.T) {
	base, err := project(t, input()).Text()
	if err != nil {
		t.Fatal(err)
	}
	for text, says := range map[string]string{
		"services: {main: {ports: [80]}}":             "ports",
		"version: '3'":                                "version",
		"services: {main: {image: 'a:${TAG}'}}":       "variable",
		"services: {main: {mem_limit: much}}":         "much",
		"services: {main: {mem_limit: 99999999999g}}": "memory",
		"services: {main: {stop_grace_period: '5'}}":  "duration",
		"services: {gone: {restart: always}}":         "gone",
		"services: {main: {depends_on: [nobody]}}":    "nobody",
		"services: [":                                  "compose.local.yaml",
		"services: {main: {environment: [A=b]}}":       "compose.local.yaml",
		"services: {main: {healthcheck: {x: 1}}}":      "x",
		"services: {main: {volumes: ['$HOME:/home']}}": "variable",
	} {
		_, err := compose.Load(compose.File{Name: "compose.yaml", Text: base}, compose.File{Name: compose.LocalFile, Text: []byte(text)})
		if vpn.KindOf(err) != vpn.Invalid || !strings.Contains(err.Error(), says) || strings.ContainsAny(err.Error(), "\n") {
			t.Errorf("%s: %v", text, err)
		}
	}
	if _, err := compose.Load(compose.File{Name: "compose.yaml", Text: base}, compose.File{Name: compose.LocalFile, Text: []byte("# nothing\n")}); err != nil {
		t.Errorf("an empty file: %v", err)
	}
}

func TestWhatCannotRun(t *testing.T) {
	for says, change := range map[string]func(*compose.Input){
		"a second time": func(in *compose.Input) { in.Servers[0].Runtime = vpn.RuntimeDocker },
		"colon":         func(in *compose.Input) { in.DataDir = "/srv/a:b" },
		"too long":      func(in *compose.Input) { in.DataDir = "/" + strings.Repeat("x", 70) },
	} {
		in := input()
		change(&in)
		_, err := compose.New(in)
		if err == nil || !strings.Contains(err.Error(), says) || vpn.HintOf(err) == "" {
			t.Errorf("%s: %v", says, err)
		}
	}
}

// A person's own data directory: nobody in the project is root, unless a port
// needs it.
func TestOwner(t *testing.T) {
	in := input()
	in.UID, in.GID = 1000, 1001
	p := project(t, in)
	for name, want := range map[string]string{"control": "1000:1001", "a_b-bbbb": "1000:1001", "main": "0:0"} {
		if s := p.Services[name]; s.User != want || name == "control" && len(s.CapAdd) > 0 {
			t.Errorf("%s runs as %s with %v", name, s.User, s.CapAdd)
		}
	}
}

func TestChoice(t *testing.T) {
	mine := "# mine\nVPN_X=1\nCOMPOSE_FILE=compose.yaml\nCOMPOSE_HTTP_TIMEOUT=5"
	for _, want := range []compose.Choice{
		{Project: "vpn-abcdefgh", Environment: compose.Staging},
		{Project: "vpn-abcdefgh", Environment: compose.Production, Local: true},
	} {
		text := want.Write(mine)
		got, err := compose.ReadChoice(text)
		if err != nil || got != want {
			t.Errorf("%+v, %v; want %+v", got, err, want)
		}
		if !strings.HasPrefix(text, "# mine\nVPN_X=1\nCOMPOSE_HTTP_TIMEOUT=5\n") || strings.Count(text, "COMPOSE_FILE=") != 1 || want.Write(text) != text {
			t.Errorf("%s", text)
		}
	}
	for _, text := range []string{"", "COMPOSE_PROJECT_NAME=x", "COMPOSE_FILE=compose.yaml:compose.production.yaml"} {
		if _, err := compose.ReadChoice(text); vpn.KindOf(err) != vpn.Invalid || vpn.HintOf(err) == "" {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, err := compose.ParseEnvironment("prod"); vpn.HintOf(err) != "did you mean production?" {
		t.Errorf("%v, hint %s", err, vpn.HintOf(err))
	}
}

func TestFind(t *testing.T) {
	p := project(t, input())
	for name, want := range map[string]string{"main": "main", "a@b": "a_b-bbbb", "control": "control", "control-cccc": "control-cccc"} {
		if got, err := p.Find(name); got != want || err != nil {
			t.Errorf("%s is %s, %v", name, got, err)
		}
	}
	if _, err := p.Find("off"); vpn.KindOf(err) != vpn.NotFound || !strings.Contains(vpn.HintOf(err), "generate") {
		t.Errorf("%v", err)
	}
	if names := p.Names(); names[0] != "control" || len(names) != 4 {
		t.Errorf("%v", names)
	}
}

// The programs that people have read the files too: Debian's, and today's.
func TestComposeProgramsReadThem(t *testing.T) {
	for _, c := range []struct {
		name, file, hint string
		memory           string
	}{
		{"Debian's", "docker-compose", "test/deps", "mem_limit: 536870912"},
		{"today's", "../../.cache/bin/docker-compose", "make fixtures", `mem_limit: "536870912"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			program, err := exec.LookPath(c.file)
			if err == nil {
				program, err = filepath.Abs(program)
			}
			if err != nil {
				if os.Getenv("CI") != "" {
					t.Fatalf("%v: %s", err, c.hint)
				}
				t.Skip("it is not there: " + c.hint)
			}
			for _, e := range compose.Environments() {
				dir, _ := written(t, project(t, input()), e)
				cmd := exec.Command(program, "config")
				cmd.Dir = dir
				var problems bytes.Buffer
				cmd.Stderr = &problems
				out, err := cmd.Output()
				if err != nil || problems.Len() > 0 {
					t.Fatalf("%s: %v\n%s", e, err, problems.Bytes())
				}
				wants := []string{"image: vpn:1.2.3-0123456789ab", c.memory, "no-new-privileges", "pids_limit: 99"}
				if e == compose.Production {
					wants = append(wants, "restart: always", "max-size: 20m")
				}
				for _, want := range wants {
					if !strings.Contains(string(out), want) {
						t.Errorf("%s: it does not have %q:\n%s", e, want, out)
					}
				}
			}
		})
	}
}

func FuzzLoad(f *testing.F) {
	f.Add([]byte("services: {a: {image: b, volumes: [c:d]}}"))
	f.Add([]byte("services: {a: {image: '$$', mem_limit: 1g, stop_grace_period: 1m}}"))
	f.Add([]byte("services: &a {b: *a}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := compose.Load(compose.File{Name: "x", Text: text})
		if err != nil {
			if vpn.KindOf(err) != vpn.Invalid {
				t.Fatalf("%v is of kind %s", err, vpn.KindOf(err))
			}
			return
		}
		again, err := p.Text()
		if err != nil {
			t.Fatal(err)
		}
		q, err := compose.Load(compose.File{Name: "x", Text: again})
		if err != nil {
			t.Fatalf("%v\n%s", err, again)
		}
		if diff := cmp.Diff(p.Names(), q.Names()); diff != "" {
			t.Error(diff)
		}
	})
}
