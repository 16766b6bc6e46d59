package api_test

import (
	"context"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"vpn/internal/api"
	"vpn/internal/vpn"
)

// fakeUsers answers with what it was set to and remembers what it was asked.
type fakeUsers struct {
	err     error
	created vpn.NewUser
	name    string
	patch   vpn.UserPatch

	device   string
	restored vpn.UserRestore
	reset    string
	filter   vpn.UserFilter
	listed   []vpn.UserInfo
}

func (f *fakeUsers) change(name string) (vpn.UserChange, error) {
	f.name = name
	return vpn.UserChange{User: vpn.UserInfo{User: vpn.User{Name: name}, Status: vpn.Active}, Synced: true}, f.err
}

func (f *fakeUsers) Create(_ context.Context, in vpn.NewUser) (vpn.UserChange, error) {
	f.created = in
	return f.change(in.Name)
}

func (f *fakeUsers) List(_ context.Context, filter vpn.UserFilter) ([]vpn.UserInfo, error) {
	f.filter = filter
	return f.listed, f.err
}

func (f *fakeUsers) Each(ctx context.Context, filter vpn.UserFilter, fn func(*vpn.UserInfo) error) error {
	list, err := f.List(ctx, filter)
	if err != nil {
		return err
	}
	for i := range list {
		if err := fn(&list[i]); err != nil {
			return err
		}
	}
	return nil
}

func (f *fakeUsers) Show(_ context.Context, name string) (vpn.UserDetail, error) {
	f.name = name
	return vpn.UserDetail{UserInfo: vpn.UserInfo{User: vpn.User{Name: name}}}, f.err
}

func (f *fakeUsers) Update(_ context.Context, name string, p vpn.UserPatch) (vpn.UserChange, error) {
	f.patch = p
	return f.change(name)
}

func (f *fakeUsers) Delete(_ context.Context, name string) (vpn.UserChange, error) {
	return f.change(name)
}

func (f *fakeUsers) Deleted(context.Context) ([]vpn.UserInfo, error) {
	return []vpn.UserInfo{{User: vpn.User{Name: "gone"}, Status: vpn.Deleted}}, f.err
}

func (f *fakeUsers) Restore(_ context.Context, name string, in vpn.UserRestore) (vpn.UserChange, error) {
	f.restored = in
	return f.change(name)
}

func (f *fakeUsers) Reset(_ context.Context, name string) (vpn.UserChange, error) {
	f.reset = name
	return f.change(name)
}

func (f *fakeUsers) Kick(_ context.Context, name string) (vpn.Kicked, error) {
	f.name = name
	return vpn.Kicked{Connections: 3}, f.err
}

func (f *fakeUsers) Access(_ context.Context, name string) ([]vpn.Access, error) {
	f.name = name
	return []vpn.Access{{Server: "main", Protocol: "vless", Link: "vless://x?a=1&b=2"}}, f.err
}

// fakeDevices are fakeUsers by another face.
type fakeDevices struct{ *fakeUsers }

func (f fakeDevices) Add(_ context.Context, user string, in vpn.NewDevice) (vpn.UserChange, error) {
	f.device = in.Name
	return f.change(user)
}

func (f fakeDevices) Remove(_ context.Context, user, device string) (vpn.UserChange, error) {
	f.device = device
	return f.change(user)
}

func (f fakeDevices) List(context.Context, string) ([]vpn.Device, error) { return nil, f.err }

func (f fakeDevices) Rotate(_ context.Context, user string, in vpn.Rotation) (vpn.UserChange, error) {
	f.device = in.Device
	return f.change(user)
}

// fakeUsage remembers what it was asked.
type fakeUsage struct {
	err      error
	query    vpn.HistoryQuery
	rates    vpn.RatesQuery
	sessions vpn.SessionFilter
}

func (f *fakeUsage) History(_ context.Context, q vpn.HistoryQuery) (vpn.History, error) {
	f.query = q
	return vpn.History{Points: []vpn.HistoryPoint{}}, f.err
}

func (f *fakeUsage) Rates(_ context.Context, q vpn.RatesQuery) (vpn.Rates, error) {
	f.rates = q
	return vpn.Rates{}, f.err
}

func (f *fakeUsage) Sessions(_ context.Context, q vpn.SessionFilter) ([]vpn.Session, error) {
	f.sessions = q
	return nil, f.err
}

type fakeServers struct {
	err    error
	asked  string
	patch  vpn.ServerPatch
	follow bool
	tail   int
	logs   io.ReadCloser
	seen   context.Context
}

func (f *fakeServers) change(verb, name string) (vpn.ServerChange, error) {
	f.asked = verb + " " + name
	return vpn.ServerChange{Server: vpn.ServerInfo{Server: vpn.Server{Name: name}, State: vpn.Running}, Synced: true}, f.err
}

func (f *fakeServers) Create(_ context.Context, in vpn.NewServer) (vpn.ServerChange, error) {
	return f.change("create", in.Name)
}
func (f *fakeServers) List(context.Context) ([]vpn.ServerInfo, error) { return nil, f.err }
func (f *fakeServers) Show(_ context.Context, name string) (vpn.ServerDetail, error) {
	f.asked = "show " + name
	return vpn.ServerDetail{ServerInfo: vpn.ServerInfo{Server: vpn.Server{Name: name, Settings: []byte("{}")}}}, f.err
}

func (f *fakeServers) Update(_ context.Context, name string, p vpn.ServerPatch) (vpn.ServerChange, error) {
	f.patch = p
	return f.change("update", name)
}

func (f *fakeServers) Start(_ context.Context, name string) (vpn.ServerChange, error) {
	return f.change("start", name)
}

func (f *fakeServers) Stop(_ context.Context, name string) (vpn.ServerChange, error) {
	return f.change("stop", name)
}

func (f *fakeServers) Restart(_ context.Context, name string) (vpn.ServerChange, error) {
	return f.change("restart", name)
}

func (f *fakeServers) Delete(_ context.Context, name string) (vpn.ServerChange, error) {
	return f.change("delete", name)
}

func (f *fakeServers) Logs(ctx context.Context, name string, follow bool, tail int, since time.Time) (io.ReadCloser, error) {
	f.asked, f.follow, f.tail, f.seen = "logs "+name, follow, tail, ctx
	if f.logs == nil {
		f.logs = io.NopCloser(strings.NewReader("one\ntwo\n"))
	}
	return f.logs, f.err
}

type fakeSystem struct {
	err   error
	limit int
	logs  vpn.LogQuery
	patch vpn.ConfigPatch
	panic any

	reloads int
}

func (f *fakeSystem) Status(context.Context) (vpn.Status, error) {
	if f.panic != nil {
		panic(f.panic)
	}
	return vpn.Status{Version: "1"}, f.err
}

func (f *fakeSystem) Events(_ context.Context, limit int) ([]vpn.Event, error) {
	f.limit = limit
	return nil, f.err
}

func (f *fakeSystem) Host(context.Context) (vpn.Host, error) { return vpn.Host{Name: "h"}, f.err }

func (f *fakeSystem) FollowEvents(_ context.Context, last int) (iter.Seq[[]vpn.Event], error) {
	f.limit = last
	return slices.Values([][]vpn.Event{{{Action: "one"}, {Action: "two"}}, {{Action: "<&>"}}}), f.err
}

func (f *fakeSystem) Logs(_ context.Context, q vpn.LogQuery) (iter.Seq[[]vpn.LogLine], error) {
	f.logs = q
	return slices.Values([][]vpn.LogLine{{{Message: "one"}}}), f.err
}

func (f *fakeSystem) Configuration(context.Context) (vpn.Configuration, error) {
	return vpn.Configuration{File: "/f"}, f.err
}

func (f *fakeSystem) Configure(_ context.Context, p vpn.ConfigPatch) (vpn.ConfigChange, error) {
	f.reloads++
	f.patch = p
	return vpn.ConfigChange{}, f.err
}

func (f *fakeSystem) Reload(context.Context) (vpn.Reload, error) {
	f.reloads++
	return vpn.Reload{}, f.err
}

func (f *fakeSystem) Upgrade(context.Context) (vpn.Upgrade, error) {
	return vpn.Upgrade{From: "1", To: "2"}, f.err
}

// fixture is the API in front of fakes, and its log.
type fixture struct {
	users   fakeUsers
	servers fakeServers
	usage   fakeUsage
	system  fakeSystem
	dry     struct {
		users   fakeUsers
		servers fakeServers
		system  fakeSystem
	}
	log     strings.Builder
	handler http.Handler
}

func newFixture(t testing.TB) *fixture {
	t.Helper()
	f := &fixture{}
	f.handler = api.Handler(api.Config{
		Users: &f.users, Devices: fakeDevices{&f.users}, Servers: &f.servers, Usage: &f.usage, System: &f.system,
		DryRun: api.DryRun{Users: &f.dry.users, Devices: fakeDevices{&f.dry.users}, Servers: &f.dry.servers, System: &f.dry.system},
		Log:    slog.New(slog.NewTextHandler(&f.log, nil)), Version: "test",
	})
	return f
}

// handlerOf is the API in front of fakes and one system.
func handlerOf(t testing.TB, system api.System) http.Handler {
	t.Helper()
	var f fixture
	return api.Handler(api.Config{
		Users: &f.users, Devices: fakeDevices{&f.users}, Servers: &f.servers, Usage: &f.usage, System: system,
		DryRun: api.DryRun{Users: &f.dry.users, Devices: fakeDevices{&f.dry.users}, Servers: &f.dry.servers, System: system},
		Log:    slog.New(slog.DiscardHandler), Version: "test",
	})
}

// do makes one request with an optional JSON body.
func (f *fixture) do(method, path, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	w := httptest.NewRecorder()
	f.handler.ServeHTTP(w, r)
	return w
}
