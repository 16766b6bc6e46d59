package client_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vpn/internal/client"
	"vpn/internal/vpn"
)

// over runs test over both ways to reach a handler: they must not differ.
func over(t *testing.T, h http.HandlerFunc, test func(*testing.T, *client.Client)) {
	t.Helper()
	t.Run("in process", func(t *testing.T) { test(t, client.InProcess(h)) })
	t.Run("unix", func(t *testing.T) { test(t, client.Unix(serve(t, h))) })
}

// serve serves h on a new socket until the test ends and returns its path.
func serve(t *testing.T, h http.Handler) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "api.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: h}
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { _ = s.Close() })
	return path
}

// answers is a handler that checks one request and gives a fixed answer.
func answers(t *testing.T, method, uri, body string, answer any) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		if r.Method != method || r.RequestURI != uri || string(b) != body {
			t.Errorf("got %s %s %s, want %s %s %s", r.Method, r.RequestURI, b, method, uri, body)
		}
		if body != "" && r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("the body comes as %q", r.Header.Get("Content-Type"))
		}
		_ = json.NewEncoder(w).Encode(answer)
	}
}

// TestRequests calls every method once and compares what goes out and what
// comes back.
func TestRequests(t *testing.T) {
	user := vpn.UserChange{User: vpn.UserInfo{User: vpn.User{ID: "id", Name: "alice"}}, Synced: true}
	server := vpn.ServerChange{Server: vpn.ServerInfo{State: vpn.Running}, Warnings: []string{"w"}}
	for name, c := range map[string]struct {
		method, uri, body string
		answer            any
		call              func(context.Context, *client.Client) (any, error)
	}{
		"users.create": {"POST", "/v1/users", `{"name":"alice"}`, user, func(ctx context.Context, c *client.Client) (any, error) {
			return c.Users.Create(ctx, vpn.NewUser{Name: "alice"})
		}},
		"users.list": {"GET", "/v1/users", "", []vpn.UserInfo{user.User}, func(ctx context.Context, c *client.Client) (any, error) {
			return c.Users.List(ctx, vpn.UserFilter{})
		}},
		"users.show": {"GET", "/v1/users/alice", "", vpn.UserDetail{UserInfo: user.User}, func(ctx context.Context, c *client.Client) (any, error) {
			return c.Users.Show(ctx, "alice")
		}},
		"users.update": {"PATCH", "/v1/users/alice", `{"quota":0}`, user, func(ctx context.Context, c *client.Client) (any, error) {
			return c.Users.Update(ctx, "alice", vpn.UserPatch{Quota: new(uint64(0))})
		}},
		"users.delete": {"DELETE", "/v1/users/alice", "", user, func(ctx context.Context, c *client.Client) (any, error) {
			return c.Users.Delete(ctx, "alice")
		}},
		"users.list deleted": {"GET", "/v1/users?deleted=true", "", []vpn.UserInfo{user.User}, func(ctx context.Context, c *client.Client) (any, error) {
			return c.Users.Deleted(ctx)
		}},
		"users.restore": {"POST", "/v1/users/alice/restore", `{"as":"al"}`, user, func(ctx context.Context, c *client.Client) (any, error) {
			return c.Users.Restore(ctx, "alice", vpn.UserRestore{As: "al"})
		}},
		"users.reset": {"POST", "/v1/users/alice/reset", "", user, func(ctx context.Context, c *client.Client) (any, error) {
			return c.Users.Reset(ctx, "alice")
		}},
		"users.kick": {"POST", "/v1/users/alice/kick", "", vpn.Kicked{Connections: 3}, func(ctx context.Context, c *client.Client) (any, error) {
			return c.Users.Kick(ctx, "alice")
		}},
		"users.access": {"GET", "/v1/users/alice/access", "", []vpn.Access{{Link: "vless://a&b"}}, func(ctx context.Context, c *client.Client) (any, error) {
			return c.Users.Access(ctx, "alice")
		}},
		"users.rotate": {"POST", "/v1/users/alice/rotate", `{"server":"main"}`, user, func(ctx context.Context, c *client.Client) (any, error) {
			return c.Devices.Rotate(ctx, "alice", vpn.Rotation{Server: "main"})
		}},
		"usage.history": {"GET", "/v1/usage?by=user&server=main&since=2026-11-01T00%3A00%3A00Z&step=3600&until=2026-11-02T00%3A00%3A00Z&user=alice", "", vpn.History{Step: 3600}, func(ctx context.Context, c *client.Client) (any, error) {
			day := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
			return c.Usage.History(ctx, vpn.HistoryQuery{Since: day, Until: day.AddDate(0, 0, 1), Step: time.Hour, By: vpn.ByUser, User: "alice", Server: "main"})
		}},
		"usage.sessions": {"GET", "/v1/sessions?server=main&user=alice", "", []vpn.Session{{ID: 1}}, func(ctx context.Context, c *client.Client) (any, error) {
			return c.Usage.Sessions(ctx, vpn.SessionFilter{User: "alice", Server: "main"})
		}},
		"usage.sessions, all": {"GET", "/v1/sessions", "", []vpn.Session{}, func(ctx context.Context, c *client.Client) (any, error) {
			return c.Usage.Sessions(ctx, vpn.SessionFilter{})
		}},
		"devices.add": {"POST", "/v1/users/alice/devices", `{"name":"phone"}`, user, func(ctx context.Context, c *client.Client) (any, error) {
			return c.Devices.Add(ctx, "alice", vpn.NewDevice{Name: "phone"})
		}},
		"devices.list": {"GET", "/v1/users/alice/devices", "", []vpn.Device{{Name: "phone"}}, func(ctx context.Context, c *client.Client) (any, error) {
			return c.Devices.List(ctx, "alice")
		}},
		"devices.remove": {"DELETE", "/v1/users/alice/devices/a%2Fb", "", user, func(ctx context.Context, c *client.Client) (any, error) {
			return c.Devices.Remove(ctx, "alice", "a/b")
		}},
		"servers.create": {"POST", "/v1/servers", `{"name":"main","port":443}`, server, func(ctx context.Context, c *client.Client) (any, error) {
			return c.Servers.Create(ctx, vpn.NewServer{Name: "main", Port: 443})
		}},
		"servers.list": {"GET", "/v1/servers", "", []vpn.ServerInfo{server.Server}, func(ctx context.Context, c *client.Client) (any, error) {
			return c.Servers.List(ctx)
		}},
		"servers.show": {"GET", "/v1/servers/main", "", vpn.ServerDetail{ServerInfo: server.Server}, func(ctx context.Context, c *client.Client) (any, error) {
			return c.Servers.Show(ctx, "main")
		}},
		"servers.update": {"PATCH", "/v1/servers/main", `{"port":8443}`, server, func(ctx context.Context, c *client.Client) (any, error) {
			return c.Servers.Update(ctx, "main", vpn.ServerPatch{Port: new(uint16(8443))})
		}},
		"servers.start": {"POST", "/v1/servers/main/start", "", server, func(ctx context.Context, c *client.Client) (any, error) {
			return c.Servers.Start(ctx, "main")
		}},
		"servers.stop": {"POST", "/v1/servers/main/stop", "", server, func(ctx context.Context, c *client.Client) (any, error) {
			return c.Servers.Stop(ctx, "main")
		}},
		"servers.restart": {"POST", "/v1/servers/main/restart", "", server, func(ctx context.Context, c *client.Client) (any, error) {
			return c.Servers.Restart(ctx, "main")
		}},
		"servers.delete": {"DELETE", "/v1/servers/main", "", server, func(ctx context.Context, c *client.Client) (any, error) {
			return c.Servers.Delete(ctx, "main")
		}},
		"system.status": {"GET", "/v1/status", "", vpn.Status{Version: "1", PID: 7}, func(ctx context.Context, c *client.Client) (any, error) {
			return c.System.Status(ctx)
		}},
		"system.events": {"GET", "/v1/events?limit=5", "", []vpn.Event{{Action: "users.create"}}, func(ctx context.Context, c *client.Client) (any, error) {
			return c.System.Events(ctx, 5)
		}},
		"system.reload": {"POST", "/v1/reload", "", vpn.Reload{Changed: []string{"log_level"}}, func(ctx context.Context, c *client.Client) (any, error) {
			return c.System.Reload(ctx)
		}},
		"system.upgrade": {"POST", "/v1/upgrade", "", vpn.Upgrade{From: "1", To: "2"}, func(ctx context.Context, c *client.Client) (any, error) {
			return c.System.Upgrade(ctx)
		}},
	} {
		over(t, answers(t, c.method, c.uri, c.body, c.answer), func(t *testing.T, cl *client.Client) {
			got, err := c.call(t.Context(), cl)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			want, _ := json.Marshal(c.answer)
			have, _ := json.Marshal(got)
			if d := cmp.Diff(string(want), string(have)); d != "" {
				t.Errorf("%s: %s", name, d)
			}
		})
	}
}

// TestNames: a name cannot leave its place in the path, whatever it holds.
func TestNames(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/users/{user}", func(w http.ResponseWriter, r *http.Request) {
		_ = json.NewEncoder(w).Encode(vpn.UserDetail{UserInfo: vpn.UserInfo{User: vpn.User{Name: r.PathValue("user")}}})
	})
	over(t, mux.ServeHTTP, func(t *testing.T, c *client.Client) {
		for _, name := range []string{
			"alice", "a@b.c", "a/b", "..", ".", "a/../b", "a b", "a\nb", "a\x00b", "a?b#c", "%2e", "ä\x80", `"`,
		} {
			u, err := c.Users.Show(t.Context(), name)
			if err != nil {
				t.Errorf("%q: %v", name, err)
				continue
			}
			want, _ := json.Marshal(name) // bad UTF-8 does not survive JSON
			var shown string
			if err := json.Unmarshal(want, &shown); err != nil {
				t.Fatal(err)
			}
			if u.Name != shown {
				t.Errorf("%q arrived as %q", name, u.Name)
			}
		}
		if _, err := c.Users.Delete(t.Context(), ""); vpn.KindOf(err) != vpn.Invalid {
			t.Errorf("an empty name: %v", err)
		}
		if _, err := c.Devices.Remove(t.Context(), "alice", ""); vpn.KindOf(err) != vpn.Invalid {
			t.Errorf("an empty device: %v", err)
		}
	})
}

func TestProblemsComeBackWhole(t *testing.T) {
	h := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusConflict)
		_, _ = io.WriteString(w, `{"kind":"conflict","detail":"user \"alice\" already exists","hint":"take another name"}`)
	}
	over(t, h, func(t *testing.T, c *client.Client) {
		_, err := c.Users.Create(t.Context(), vpn.NewUser{Name: "alice"})
		want := &vpn.Error{Kind: vpn.Conflict, Message: `user "alice" already exists`, Hint: "take another name"}
		if got, ok := errors.AsType[*vpn.Error](err); !ok || cmp.Diff(want, got) != "" {
			t.Errorf("got %#v", err)
		}
	})
}

func TestStrangeAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		kind vpn.Kind
		h    http.HandlerFunc
	}{
		"a refusal that is no problem": {vpn.Internal, func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "<html>", http.StatusBadGateway)
		}},
		"a redirect": {vpn.Internal, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/", http.StatusMovedPermanently)
		}},
		"not JSON": {vpn.Unavailable, func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "hello")
		}},
		"an answer that breaks off": {vpn.Unavailable, func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `[{"name":`)
			panic(http.ErrAbortHandler)
		}},
		"an end that breaks off": {vpn.Unavailable, func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `[]`)
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			over(t, c.h, func(t *testing.T, cl *client.Client) {
				_, err := cl.Users.List(t.Context(), vpn.UserFilter{})
				if e, ok := errors.AsType[*vpn.Error](err); !ok || e.Kind != c.kind || e.Hint == "" {
					t.Errorf("got %#v", err)
				}
			})
		})
	}
}

// TestNoAnswer: a handler that panics before it answers is a failed request,
// not the end of the process.
func TestNoAnswer(t *testing.T) {
	over(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, func(t *testing.T, c *client.Client) {
		if _, err := c.Users.List(t.Context(), vpn.UserFilter{}); err == nil {
			t.Error("no error")
		}
	})
	_, err := client.InProcess(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("boom") })).Users.List(t.Context(), vpn.UserFilter{})
	if vpn.KindOf(err) != vpn.Internal {
		t.Errorf("got %v", err)
	}
}

func TestCancel(t *testing.T) {
	h := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	over(t, h, func(t *testing.T, c *client.Client) {
		ctx, cancel := context.WithCancel(t.Context())
		failed := make(chan error)
		go func() {
			_, err := c.Users.List(ctx, vpn.UserFilter{})
			failed <- err
		}()
		cancel()
		select {
		case err := <-failed:
			if !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
		case <-time.After(5 * time.Second):
			t.Fatal("the call does not return")
		}
	})
}

func TestNoDaemon(t *testing.T) {
	dir := t.TempDir()
	stale := filepath.Join(dir, "stale.sock")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: stale, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	_ = l.Close()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]string{
		"no socket":         filepath.Join(dir, "none.sock"),
		"nobody listens":    stale,
		"not a socket":      file,
		"not a directory":   filepath.Join(file, "api.sock"),
		"the path is wrong": filepath.Join(dir, string(make([]byte, 200))),
	} {
		_, err := client.Unix(path).Users.List(t.Context(), vpn.UserFilter{})
		if e, ok := errors.AsType[*vpn.Error](err); !ok || e.Kind != vpn.Unavailable || e.Hint == "" {
			t.Errorf("%s: %#v", name, err)
		}
		if err := client.Probe(t.Context(), path); vpn.KindOf(err) != vpn.Unavailable {
			t.Errorf("%s: probe says %v", name, err)
		}
	}
	if err := client.Probe(t.Context(), serve(t, http.NotFoundHandler())); err != nil {
		t.Errorf("a daemon that listens: %v", err)
	}
}

// TestAnAnswerWithoutEnd: whoever answers may be no daemon any more.
func TestAnAnswerWithoutEnd(t *testing.T) {
	t.Parallel()
	spaces := bytes.Repeat([]byte(" "), 1<<20)
	c := client.Unix(serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for {
			if _, err := w.Write(spaces); err != nil {
				return
			}
		}
	})))
	_, err := c.Users.List(t.Context(), vpn.UserFilter{})
	if vpn.KindOf(err) != vpn.Unavailable || err.Error() != "the daemon's answer has no end" {
		t.Errorf("got %v", err)
	}
}
