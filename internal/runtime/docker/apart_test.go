package docker_test

import (
	"encoding/json"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	engine "vpn/internal/docker"
	"vpn/internal/runtime/docker"
	"vpn/internal/vpn"
)

// Where "the host" of the containers is another machine, a server on its
// network would listen where nobody looks. Such an engine cannot be had in
// tests: this one only says that it is one.
func TestTheHostOfAnotherMachine(t *testing.T) {
	t.Parallel()
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Api-Version", "1.41")
		var answer any = []any{} // of containers
		switch _, what, _ := strings.Cut(r.URL.Path[1:], "/"); {
		case r.URL.Path == "/_ping":
			return
		case what == "version":
			answer = map[string]any{"Components": []any{}}
		case what == "info":
			answer = map[string]any{"OSType": "linux", "OperatingSystem": "Docker Desktop"}
		case r.Method != http.MethodGet:
			t.Errorf("the engine is to do %s %s", r.Method, r.URL.Path)
		}
		_ = json.NewEncoder(w).Encode(answer)
	})}
	go func() { _ = srv.Serve(l) }()
	t.Cleanup(func() { srv.Close() })

	ws, err := docker.New(docker.Options{
		Store: "store", Dir: t.TempDir(), LogDir: t.TempDir(),
		Engine: engine.New(engine.Options{Host: "unix://" + socket}), Image: engine.NewImage("", "test", ""),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ws.Close() })
	s := vpn.Server{ID: vpn.ServerID(vpn.NewID()), Name: "main", Port: 8443, Runtime: vpn.RuntimeDocker, Container: (*vpn.Container)(nil).Filled()}
	_, err = ws.Start(t.Context(), s)
	if vpn.KindOf(err) != vpn.Unavailable || !strings.Contains(err.Error(), "a machine of its own") || !strings.Contains(err.Error(), "vpn server update main --network vpn") || !strings.Contains(vpn.HintOf(err), "--runtime process") {
		t.Errorf("got %v, with the hint %q", err, vpn.HintOf(err))
	}
}
