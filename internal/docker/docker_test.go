package docker_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/moby/moby/client"

	"vpn/internal/docker"
	"vpn/internal/vpn"
)

func env(vars map[string]string) func(string) string {
	return func(name string) string { return vars[name] }
}

// withContexts makes Docker's configuration with one context, in use.
func withContexts(t *testing.T, name, host string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	sum := sha256.Sum256([]byte(name))
	meta := filepath.Join(dir, "contexts", "meta", hex.EncodeToString(sum[:]))
	if err := os.MkdirAll(meta, 0o755); err != nil {
		t.Fatal(err)
	}
	write := func(path string, v any) {
		b, err := json.Marshal(v)
		if err == nil {
			err = os.WriteFile(path, b, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	write(filepath.Join(dir, "config.json"), map[string]any{"currentContext": name, "auths": map[string]any{}})
	write(filepath.Join(meta, "meta.json"), map[string]any{"Name": name, "Endpoints": map[string]any{"docker": map[string]any{"Host": host}}})
	return dir
}

func TestWhichEngineIsMeant(t *testing.T) {
	contexts := withContexts(t, "work", "unix:///run/work.sock")
	home := t.TempDir()
	if err := os.Symlink(contexts, filepath.Join(home, ".docker")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		options docker.Options
		want    string
	}{
		{"nothing is said", docker.Options{Getenv: env(nil)}, docker.DefaultHost},
		{"a home without Docker's files", docker.Options{Getenv: env(map[string]string{"HOME": t.TempDir()})}, docker.DefaultHost},
		{"DOCKER_HOST", docker.Options{Getenv: env(map[string]string{"DOCKER_HOST": "unix:///x.sock", "DOCKER_CONFIG": contexts})}, "unix:///x.sock"},
		{"the current context", docker.Options{Getenv: env(map[string]string{"DOCKER_CONFIG": contexts})}, "unix:///run/work.sock"},
		{"the current context at home", docker.Options{Getenv: env(map[string]string{"HOME": home})}, "unix:///run/work.sock"},
		{"another context", docker.Options{Getenv: env(map[string]string{"DOCKER_CONFIG": contexts, "DOCKER_CONTEXT": "default"})}, docker.DefaultHost},
		{"an option", docker.Options{Host: "unix:///y.sock", Getenv: env(map[string]string{"DOCKER_HOST": "unix:///x.sock"})}, "unix:///y.sock"},
	} {
		if got, err := docker.New(c.options).Host(); got != c.want || err != nil {
			t.Errorf("%s: %q, %v, want %q", c.name, got, err, c.want)
		}
	}
}

func TestEnginesThatCannotBeUsed(t *testing.T) {
	broken := t.TempDir()
	if err := os.WriteFile(filepath.Join(broken, "config.json"), []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		vars map[string]string
		says string
	}{
		{"another machine", map[string]string{"DOCKER_HOST": "tcp://192.0.2.7:2376"}, "over the network"},
		{"by ssh, with a password", map[string]string{"DOCKER_HOST": "ssh://me:secret@example.org"}, "over the network"},
		{"a context of another machine", map[string]string{"DOCKER_CONFIG": withContexts(t, "far", "tcp://192.0.2.7:2376")}, "context far"},
		{"no address", map[string]string{"DOCKER_HOST": "docker"}, "not the address"},
		{"a context that is gone", map[string]string{"DOCKER_CONTEXT": "gone", "HOME": t.TempDir()}, `"gone"`},
		{"a context without an engine", map[string]string{"DOCKER_CONFIG": withContexts(t, "empty", "")}, "no engine"},
		{"a broken configuration", map[string]string{"DOCKER_CONFIG": broken}, "config.json"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := docker.New(docker.Options{Getenv: env(c.vars)}).Facts(t.Context())
			wantUnavailable(t, err, c.says)
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("it tells the password: %v", err)
			}
		})
	}
}

// wantUnavailable fails unless err says that and what to do.
func wantUnavailable(t *testing.T, err error, says string) {
	t.Helper()
	if err == nil || vpn.KindOf(err) != vpn.Unavailable || vpn.HintOf(err) == "" || !strings.Contains(err.Error(), says) {
		t.Errorf("got %v of kind %s with hint %q, want %q", err, vpn.KindOf(err), vpn.HintOf(err), says)
	}
}

// speaker answers at a socket in place of an engine, and returns its address.
func speaker(t *testing.T, answer http.Handler) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "vpn") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: answer}
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { _ = s.Close(); os.RemoveAll(dir) })
	return "unix://" + path
}

// pretend answers as an engine with this API version, components and facts.
func pretend(api, component string, info map[string]any) http.Handler {
	mux := http.NewServeMux()
	say := func(w http.ResponseWriter, v any) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(v)
	}
	mux.HandleFunc("/_ping", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Api-Version", api) })
	mux.HandleFunc("/{v}/version", func(w http.ResponseWriter, _ *http.Request) {
		say(w, map[string]any{"Components": []any{map[string]any{"Name": component, "Version": "4.3.1"}}})
	})
	mux.HandleFunc("/{v}/info", func(w http.ResponseWriter, _ *http.Request) { say(w, info) })
	mux.HandleFunc("/{v}/containers/json", func(w http.ResponseWriter, r *http.Request) {
		switch r.FormValue("limit") {
		case "1":
			http.Error(w, `{"message":"write /var/lib/docker/x: no space left on device"}`, http.StatusInternalServerError)
		case "2":
			http.Error(w, `{"message":"no such thing"}`, http.StatusNotFound)
		case "3":
			http.Error(w, `{"message":"the name is taken"}`, http.StatusConflict)
		case "4":
			<-r.Context().Done()
		}
	})
	return mux
}

func linux(options ...string) map[string]any {
	return map[string]any{"OSType": "linux", "Architecture": "aarch64", "ServerVersion": "29.0.0", "SecurityOptions": options, "DockerRootDir": "/d"}
}

func TestUnfitEnginesAreRefused(t *testing.T) {
	for _, c := range []struct {
		name, api, component string
		info                 map[string]any
		says                 string
	}{
		{"too old", "1.39", "Engine", linux(), "1.39"},
		{"without a version", "", "Engine", linux(), "API version none"},
		{"Podman", "1.41", "Podman Engine", linux(), "Podman 4.3.1"},
		{"Windows", "1.56", "Engine", map[string]any{"OSType": "windows"}, "windows"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := docker.New(docker.Options{Host: speaker(t, pretend(c.api, c.component, c.info))})
			defer e.Close()
			_, err := e.Client(t.Context())
			wantUnavailable(t, err, c.says)
		})
	}
}

// An engine without root is used, and known not to have this machine's network.
func TestEngineWithoutRoot(t *testing.T) {
	info := linux("name=seccomp,profile=builtin", "name=rootless")
	e := docker.New(docker.Options{Host: speaker(t, pretend("1.56", "Engine", info))})
	defer e.Close()
	if f, err := e.Facts(t.Context()); err != nil || !f.Rootless || !f.Apart {
		t.Errorf("it is %+v, %v", f, err)
	}
}

func TestFacts(t *testing.T) {
	for root, base := range map[string]int{"/d": 0, "/var/lib/docker/100000.100000": 100000, "/d/1.2": 0, "/d/x.x": 0} {
		info := linux("name=userns")
		info["DockerRootDir"] = root
		e := docker.New(docker.Options{Host: speaker(t, pretend("1.41", "Engine", info))})
		got, err := e.Facts(t.Context())
		if got.Asked.IsZero() {
			t.Error("it is not said when the engine was asked")
		}
		got.Asked = time.Time{}
		if want := (docker.Facts{Version: "29.0.0", API: "1.41", Architecture: "arm64", Remapped: true, UIDBase: base, Root: root}); got != want || err != nil {
			t.Errorf("got %+v, %v, want %+v", got, err, want)
		}
		e.Close()
	}
}

// An engine on a kernel of its own is in another machine.
func TestEnginesApart(t *testing.T) {
	release, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		t.Fatal(err)
	}
	here := strings.TrimSpace(string(release))
	numbers, _, _ := strings.Cut(here, "-")
	for kernel, apart := range map[string]bool{"": false, here: false, numbers + "-of-others": false, "2.6.32-5": true, "99.1": true} {
		for system, desktop := range map[string]bool{"Debian GNU/Linux 12 (bookworm)": false, "Docker Desktop": true} {
			info := linux()
			info["KernelVersion"], info["OperatingSystem"] = kernel, system
			e := docker.New(docker.Options{Host: speaker(t, pretend("1.41", "Engine", info))})
			if got, err := e.Facts(t.Context()); err != nil || got.Apart != (apart || desktop) {
				t.Errorf("%s with the kernel %q: apart is %v, %v", system, kernel, got.Apart, err)
			}
			e.Close()
		}
	}
}

func TestErrorsOfAnEngine(t *testing.T) {
	e := docker.New(docker.Options{Host: speaker(t, pretend("1.47", "Engine", linux()))})
	defer e.Close()
	for limit, want := range map[int]struct {
		kind vpn.Kind
		says string
	}{
		1: {vpn.Unavailable, "no space left"}, 2: {vpn.NotFound, "no such thing"},
		3: {vpn.Conflict, "the name is taken"}, 4: {vpn.Unavailable, "does not answer in time: list the containers"},
	} {
		_, err := docker.Call(t.Context(), e, time.Second, "list the containers", func(ctx context.Context, c *client.Client) (client.ContainerListResult, error) {
			return c.ContainerList(ctx, client.ContainerListOptions{Limit: limit})
		})
		if vpn.KindOf(err) != want.kind || !strings.Contains(err.Error(), want.says) {
			t.Errorf("got %v of kind %s, want %s: %s", err, vpn.KindOf(err), want.kind, want.says)
		}
	}
}

func TestNobodyAnswers(t *testing.T) {
	dir := t.TempDir()
	dead := filepath.Join(dir, "dead.sock")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: dead})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	silent := speaker(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	for _, c := range []struct{ name, host, says string }{
		{"no socket", "unix://" + filepath.Join(dir, "none.sock"), "there is no Docker engine at"},
		{"a socket that nobody serves", "unix://" + dead, "does not run"},
		{"an engine that says nothing", silent, "does not answer in time"},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			_, err := docker.New(docker.Options{Host: c.host}).Facts(ctx)
			wantUnavailable(t, err, c.says)
		})
	}
}

// An engine that is replaced by another, as by an upgrade, is looked at anew.
func TestEngineIsLookedAtAnew(t *testing.T) {
	var gone, upgraded atomic.Bool
	e := docker.New(docker.Options{Host: speaker(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if gone.Load() {
			panic(http.ErrAbortHandler) // hangs up
		}
		api := "1.47"
		if upgraded.Load() {
			api = "1.42"
		}
		pretend(api, "Engine", linux()).ServeHTTP(w, r)
	}))})
	defer e.Close()
	if f, err := e.Facts(t.Context()); err != nil || f.API != "1.47" {
		t.Fatalf("%+v, %v", f, err)
	}
	gone.Store(true)
	_, err := docker.Call(t.Context(), e, time.Second, "list", func(ctx context.Context, c *client.Client) (client.ContainerListResult, error) {
		return c.ContainerList(ctx, client.ContainerListOptions{})
	})
	wantUnavailable(t, err, "")
	upgraded.Store(true)
	gone.Store(false)
	if f, err := e.Facts(t.Context()); err != nil || f.API != "1.42" {
		t.Errorf("the new engine is %+v, %v", f, err)
	}
}

// While one call looks at the engine anew, others go on with what they have.
func TestLooksDisturbNobody(t *testing.T) {
	e := docker.New(docker.Options{Host: speaker(t, pretend("1.47", "Engine", linux()))})
	defer e.Close()
	list := func(ctx context.Context, c *client.Client) (client.ContainerListResult, error) {
		return c.ContainerList(ctx, client.ContainerListOptions{Limit: 2}) // of which it knows nothing
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 25 {
				if _, err := docker.Call(t.Context(), e, 10*time.Second, "list", list); vpn.KindOf(err) != vpn.NotFound {
					t.Errorf("a call ends with %v", err)
				}
				_ = e.Error("list", syscall.ECONNRESET) // as if it had gone
			}
		})
	}
	wg.Wait()
}
