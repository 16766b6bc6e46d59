package cli

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"iter"
	"log/slog"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"vpn/internal/api"
	"vpn/internal/client"
	"vpn/internal/vpn"
)

// now is the time of all tests.
var now = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)

// fakePlane is a control plane in memory: users and servers by name, and
// nothing behind them.
type fakePlane struct {
	users   map[string]vpn.UserInfo
	servers map[string]vpn.ServerInfo
	synced  bool
	daemon  bool
	dry     bool
	idle    bool  // nobody is connected
	failure error // what every call returns, if set
	logs    io.Reader

	created vpn.NewServer
	patched vpn.UserPatch
	revised *[]revision
	asked   *vpn.HistoryQuery
	rates   *vpn.RatesQuery
	logged  *vpn.LogQuery
	wrong   string // with the configuration's file

	configured *vpn.ConfigPatch
	changed    []string // by a reload
}

// revision is a patch of a server that was asked for.
type revision struct {
	vpn.ServerPatch
	dry bool
}

func newFakePlane() *fakePlane {
	return &fakePlane{
		synced: true, daemon: true, revised: new([]revision), asked: new(vpn.HistoryQuery), rates: new(vpn.RatesQuery), logged: new(vpn.LogQuery), configured: new(vpn.ConfigPatch), changed: []string{"log_level"},
		users: map[string]vpn.UserInfo{
			"alice": {
				User: vpn.User{
					ID: "aliceid", Name: "alice", Enabled: true,
					Limits:    vpn.Limits{Quota: 50e9, RateDown: 2.5e6, Devices: 2},
					ExpiresAt: time.Date(2026, 12, 31, 15, 0, 0, 0, time.UTC),
					Used:      vpn.Traffic{Up: 2e8, Down: 1e9}, CreatedAt: now.Add(-24 * time.Hour),
				},
				Status: vpn.Active, Online: 2, Rate: vpn.Rate{Up: 3e3, Down: 1.2e6},
			},
			"bob": {User: vpn.User{ID: "bobid", Name: "bob", CreatedAt: now}, Status: vpn.Disabled},
		},
		servers: map[string]vpn.ServerInfo{
			"main": {
				Server: vpn.Server{
					ID: "mainid", Name: "main", Protocol: "vless", Runtime: "process", Listen: netip.IPv6Unspecified(),
					Port: 443, Enabled: true, Settings: []byte(`{"target":"www.example.com:443"}`), CreatedAt: now,
				},
				State: vpn.Running, Endpoint: "203.0.113.5:443", Online: 2, Used: vpn.Traffic{Down: 1e9},
				Worker: &vpn.Worker{PID: 7, UID: 900, StartedAt: now, CPU: new(3.5), Memory: 20e6, Confined: true},
			},
		},
	}
}

func (f *fakePlane) handler() http.Handler {
	dry := *f
	dry.users, dry.servers, dry.dry = maps.Clone(f.users), maps.Clone(f.servers), true
	return api.Handler(api.Config{
		Users: fakeUsers{f}, Devices: fakeDevices{fakeUsers{f}}, Servers: fakeServers{f}, Usage: fakeUsage{f}, System: fakeSystem{f},
		DryRun: api.DryRun{Users: fakeUsers{&dry}, Devices: fakeDevices{fakeUsers{&dry}}, Servers: fakeServers{&dry}, System: fakeSystem{&dry}},
		Log:    slog.New(slog.DiscardHandler), Version: "test",
	})
}

type fakeUsers struct{ *fakePlane }

func (f fakeUsers) find(name string) (vpn.UserInfo, error) {
	if f.failure != nil {
		return vpn.UserInfo{}, f.failure
	}
	u, ok := f.users[name]
	if !ok {
		return u, vpn.Errorf(vpn.NotFound, "there is no user %q", name).WithHint("see: vpn users list")
	}
	return u, nil
}

func (f fakeUsers) access() []vpn.Access {
	var out []vpn.Access
	for _, s := range sortedNames(f.servers) {
		a := vpn.Access{Server: s, Protocol: "vless", Link: "vless://" + s + "?a=1&b=2"}
		if f.dry {
			a.Link = ""
		}
		out = append(out, a)
	}
	return out
}

func (f fakeUsers) Create(_ context.Context, in vpn.NewUser) (vpn.UserChange, error) {
	if f.failure != nil {
		return vpn.UserChange{}, f.failure
	}
	if _, ok := f.users[in.Name]; ok {
		return vpn.UserChange{}, vpn.Errorf(vpn.Conflict, "user %q already exists", in.Name).WithHint("choose another name")
	}
	if err := vpn.ValidName(in.Name); err != nil {
		return vpn.UserChange{}, err
	}
	u := vpn.UserInfo{
		User:   vpn.User{ID: "newid", Name: in.Name, Enabled: true, Limits: in.Limits, ExpiresAt: in.ExpiresAt},
		Status: vpn.Active,
	}
	f.users[in.Name] = u
	return vpn.UserChange{User: u, Access: f.access(), Synced: f.synced, DryRun: f.dry}, nil
}

func (f fakeUsers) List(_ context.Context, filter vpn.UserFilter) ([]vpn.UserInfo, error) {
	var out []vpn.UserInfo
	for _, name := range sortedNames(f.users) {
		if u := f.users[name]; filter.Meets(u.User, u.Status) {
			out = append(out, u)
		}
	}
	return out, f.failure
}

func (f fakeUsers) Each(ctx context.Context, filter vpn.UserFilter, fn func(*vpn.UserInfo) error) error {
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

func (f fakeUsers) Show(_ context.Context, name string) (vpn.UserDetail, error) {
	u, err := f.find(name)
	d := vpn.UserDetail{
		UserInfo: u, Credentials: []vpn.UserCredential{{ID: "key", Server: "main", CreatedAt: now, Online: u.Online}},
		Servers: []vpn.UserServer{{Server: "main", Protocol: "vless", Allowed: true, Used: u.Used}}, Resets: []vpn.Reset{},
	}
	if name == "bob" { // whose phone has keys of its own, and who has old ones
		d.Credentials = append(d.Credentials,
			vpn.UserCredential{ID: "old", Server: "main", CreatedAt: now.Add(-time.Hour), EndsAt: now.Add(time.Hour), Online: 1},
			vpn.UserCredential{ID: "phone", Server: "main", Device: "phone", CreatedAt: now})
	}
	if u.Online > 0 {
		d.Sessions = []vpn.Session{{
			ID: 1, User: u.ID, Server: "main", Source: netip.MustParseAddrPort("192.0.2.7:5000"), Network: "tcp",
			Since: now, Traffic: vpn.Traffic{Up: 1e3, Down: 1e6},
		}}
	}
	return d, err
}

func (f fakeUsers) Update(_ context.Context, name string, p vpn.UserPatch) (vpn.UserChange, error) {
	f.patched = p
	u, err := f.find(name)
	c := vpn.UserChange{User: u, Synced: f.synced, DryRun: f.dry}
	if p.Enabled != nil && !*p.Enabled || p.Servers != nil {
		c.Connections = u.Online
	}
	return c, err
}

func (f fakeUsers) Delete(_ context.Context, name string) (vpn.UserChange, error) {
	u, err := f.find(name)
	delete(f.users, name)
	return vpn.UserChange{User: u, Synced: f.synced, DryRun: f.dry, Connections: u.Online}, err
}

func (f fakeUsers) Deleted(context.Context) ([]vpn.UserInfo, error) {
	return []vpn.UserInfo{{
		User:   vpn.User{ID: "goneid", Name: "gone", Used: vpn.Traffic{Up: 1e9}, DeletedAt: now.Add(-time.Hour)},
		Status: vpn.Deleted,
	}}, f.failure
}

func (f fakeUsers) Restore(_ context.Context, name string, in vpn.UserRestore) (vpn.UserChange, error) {
	if name != "gone" {
		return vpn.UserChange{}, vpn.Errorf(vpn.NotFound, "no user deleted within the last 24 hours is named %q", name)
	}
	u := vpn.UserInfo{User: vpn.User{ID: "goneid", Name: cmp.Or(in.As, "gone"), Enabled: true}, Status: vpn.Active}
	return vpn.UserChange{User: u, Access: f.access(), Synced: f.synced, DryRun: f.dry}, f.failure
}

func (f fakeUsers) Reset(_ context.Context, name string) (vpn.UserChange, error) {
	u, err := f.find(name)
	u.Used = vpn.Traffic{}
	return vpn.UserChange{User: u, Synced: f.synced, DryRun: f.dry}, err
}

func (f fakeUsers) Kick(_ context.Context, name string) (vpn.Kicked, error) {
	u, err := f.find(name)
	return vpn.Kicked{Connections: u.Online, DryRun: f.dry}, err
}

func (f fakeUsers) Access(_ context.Context, name string) ([]vpn.Access, error) {
	_, err := f.find(name)
	return f.access(), err
}

// fakeUsage is a day on which alice moved something over main.
type fakeUsage struct{ *fakePlane }

func (f fakeUsage) History(_ context.Context, q vpn.HistoryQuery) (vpn.History, error) {
	*f.asked = q
	h := vpn.History{Since: q.Since, Until: now, Step: int64(q.Step / time.Second), By: q.By, Points: []vpn.HistoryPoint{}, Watched: []vpn.WatchedStep{}}
	if f.idle || f.failure != nil {
		return h, f.failure
	}
	of := map[vpn.HistoryBy][2]string{
		vpn.ByUser: {"alice", "bob"}, vpn.ByServer: {"main", "paris"}, vpn.ByProtocol: {"mixed", "vless"},
	}[q.By]
	h.Points = []vpn.HistoryPoint{
		{At: now.Add(-2 * time.Hour), Of: of[0], Traffic: vpn.Traffic{Up: 1e6, Down: 2e6}, Online: 2.5},
		{At: now.Add(-time.Hour), Of: of[1], Traffic: vpn.Traffic{Up: 1e6, Down: 1e9}},
	}
	h.Watched = []vpn.WatchedStep{{At: now.Add(-2 * time.Hour), Seconds: 3000}} // no daemon ran after that
	h.Total = vpn.Traffic{Up: 2e6, Down: 1.002e9}
	return h, nil
}

func (f fakeUsage) Rates(_ context.Context, q vpn.RatesQuery) (vpn.Rates, error) {
	*f.rates = q
	r := vpn.Rates{Since: now.Add(-2 * time.Minute), Until: now, By: q.By, Points: []vpn.RatePoint{}}
	if f.idle || f.failure != nil {
		return r, f.failure
	}
	of := map[vpn.HistoryBy]string{vpn.ByUser: "alice", vpn.ByServer: "main", vpn.ByProtocol: "vless"}[q.By]
	for i := range 2 {
		r.Points = append(r.Points, vpn.RatePoint{At: now.Add(time.Duration(i) * time.Second), Of: of, Rate: vpn.Rate{Up: 1e3, Down: 2e6}, Online: 2})
	}
	return r, nil
}

func (f fakeUsage) Sessions(context.Context, vpn.SessionFilter) ([]vpn.Session, error) {
	if f.idle || f.failure != nil {
		return nil, f.failure
	}
	return []vpn.Session{{
		ID: 1, User: "aliceid", UserName: "alice", Server: "main", Protocol: "vless", Source: netip.MustParseAddrPort("192.0.2.7:5000"),
		Network: "tcp", Since: now, Traffic: vpn.Traffic{Up: 1e3, Down: 1e6},
	}}, nil
}

// fakeDevices are those of users of whom each has a phone.
type fakeDevices struct{ fakeUsers }

func (f fakeDevices) change(name, device string) (vpn.UserChange, error) {
	u, err := f.find(name)
	access := f.access()
	for i := range access {
		access[i].Device = device
	}
	return vpn.UserChange{User: u, Access: access, Synced: f.synced, DryRun: f.dry}, err
}

func (f fakeDevices) Add(_ context.Context, user string, in vpn.NewDevice) (vpn.UserChange, error) {
	return f.change(user, in.Name)
}

func (f fakeDevices) Rotate(_ context.Context, user string, in vpn.Rotation) (vpn.UserChange, error) {
	c, err := f.change(user, in.Device)
	if in.OldEnds.IsZero() {
		c.Connections = c.User.Online
	}
	if in.EndOld {
		c.Access = nil
	}
	return c, err
}

func (f fakeDevices) Remove(_ context.Context, user, device string) (vpn.UserChange, error) {
	c, err := f.change(user, device)
	c.Access, c.Connections = nil, 1
	return c, err
}

func (f fakeDevices) List(_ context.Context, user string) ([]vpn.Device, error) {
	_, err := f.find(user)
	if user == "bob" {
		return nil, err
	}
	return []vpn.Device{{Name: "phone", Servers: []string{"main", "paris"}, CreatedAt: now}}, err
}

type fakeServers struct{ *fakePlane }

func (f fakeServers) find(name string) (vpn.ServerInfo, error) {
	if f.failure != nil {
		return vpn.ServerInfo{}, f.failure
	}
	s, ok := f.servers[name]
	if name == "web" { // a proxy that is in no list, which others would have to know
		s, ok = f.servers["main"], true
		s.Name, s.Protocol, s.Settings = "web", "mixed", []byte(`{"sources":["198.51.100.0/24"]}`)
	}
	if !ok {
		return s, vpn.Errorf(vpn.NotFound, "there is no server %q", name)
	}
	return s, nil
}

func (f fakeServers) change(name string) (vpn.ServerChange, error) {
	s, err := f.find(name)
	return vpn.ServerChange{Server: s, Synced: f.synced, DryRun: f.dry}, err
}

func (f fakeServers) Create(_ context.Context, in vpn.NewServer) (vpn.ServerChange, error) {
	f.created = in
	if in.Name == "" {
		in.Name = "main"
	}
	s := f.servers["main"]
	s.Protocol = cmp.Or(in.Protocol, s.Protocol)
	s.Name, s.Endpoint, s.State, s.Settings = in.Name, "203.0.113.5:8443", vpn.Running, []byte("{}")
	f.servers[in.Name] = s
	return vpn.ServerChange{Server: s, Warnings: []string{"the address is private"}, Synced: f.synced, DryRun: f.dry}, f.failure
}

func (f fakeServers) List(context.Context) ([]vpn.ServerInfo, error) {
	var out []vpn.ServerInfo
	for _, name := range sortedNames(f.servers) {
		out = append(out, f.servers[name])
	}
	return out, f.failure
}

func (f fakeServers) Show(_ context.Context, name string) (vpn.ServerDetail, error) {
	s, err := f.find(name)
	if f.idle {
		return vpn.ServerDetail{ServerInfo: s, Users: len(f.users)}, err
	}
	return vpn.ServerDetail{ServerInfo: s, Users: len(f.users), Sessions: []vpn.Session{{
		UserName: "alice", Source: netip.MustParseAddrPort("192.0.2.7:5000"), Network: "udp", Since: now,
	}}}, err
}

func (f fakeServers) Update(_ context.Context, name string, p vpn.ServerPatch) (vpn.ServerChange, error) {
	*f.revised = append(*f.revised, revision{p, f.dry})
	c, err := f.change(name)
	c.Effects = &vpn.ServerEffects{Links: vpn.LinksSame}
	switch {
	case p.Port != nil && *p.Port < 1024:
		c.Effects, c.Connections = &vpn.ServerEffects{Links: vpn.LinksReplaced, Drops: true}, c.Server.Online
	case p.Port != nil:
		c.Effects.Links = vpn.LinksReplaced
	case p.PublicHost != nil:
		c.Effects.Links = vpn.LinksChanged
	}
	return c, err
}

func (f fakeServers) Start(_ context.Context, n string) (vpn.ServerChange, error) { return f.change(n) }

func (f fakeServers) Stop(_ context.Context, n string) (vpn.ServerChange, error) { return f.end(n) }

func (f fakeServers) Restart(_ context.Context, n string) (vpn.ServerChange, error) { return f.end(n) }

// end is change for what ends connections.
func (f fakeServers) end(n string) (vpn.ServerChange, error) {
	c, err := f.change(n)
	c.Connections = c.Server.Online
	return c, err
}

func (f fakeServers) Delete(_ context.Context, n string) (vpn.ServerChange, error) {
	c, err := f.end(n)
	delete(f.servers, n)
	return c, err
}

func (f fakeServers) Logs(ctx context.Context, name string, follow bool, _ int, _ time.Time) (io.ReadCloser, error) {
	if _, err := f.find(name); err != nil {
		return nil, err
	}
	if !follow {
		return io.NopCloser(f.logs), nil
	}
	r, w := io.Pipe()
	context.AfterFunc(ctx, func() { _ = w.Close() })
	return r, nil
}

type fakeSystem struct{ *fakePlane }

func (f fakeSystem) Status(ctx context.Context) (vpn.Status, error) {
	servers, err := fakeServers(f).List(ctx)
	users := map[vpn.UserStatus]int{}
	for _, u := range f.users {
		users[u.Status]++
	}
	return vpn.Status{
		Version: "1.2.3", Daemon: f.daemon, PID: 42, DataDir: "/var/lib/vpn", Since: now, Users: users, Online: 2,
		UsersOnline: 1,
		Expiring:    vpn.Ending{Count: 5, First: []vpn.EndingUser{{Name: "alice", ExpiresAt: now}, {Name: "bob", ExpiresAt: now.Add(time.Hour)}}},
		NearQuota:   vpn.Ending{Count: 1, First: []vpn.EndingUser{{Name: "alice", Quota: 1000, Used: vpn.Traffic{Up: 900, Down: 79}}}},
		Synced:      f.synced, Servers: servers, Warnings: []string{"the address is private"},
	}, err
}

func (f fakeSystem) Events(context.Context, int) ([]vpn.Event, error) {
	if f.idle {
		return nil, f.failure
	}
	return []vpn.Event{
		{At: now.Add(time.Second), Actor: "system", Action: "users.first_use", Subject: "bob", Detail: "expires_at 2026-12-31"},
		{At: now, Actor: "uid 0 (root)", Action: "users.create", Subject: "alice"},
	}, f.failure
}

func (f fakeSystem) Logs(_ context.Context, q vpn.LogQuery) (iter.Seq[[]vpn.LogLine], error) {
	*f.logged = q
	if f.idle {
		return slices.Values([][]vpn.LogLine{}), f.failure
	}
	return slices.Values([][]vpn.LogLine{{
		{At: now, Level: vpn.LogInfo, Source: vpn.ControlPlane, Message: "control plane runs", Fields: map[string]string{"version": "1.2.3", "pid": "42", "why": "a b"}},
	}, {
		{At: now.Add(1500 * time.Millisecond), Level: vpn.LogWarn, Source: "main", Message: "what \x1b[2J comes"},
	}}), f.failure
}

func (f fakeSystem) Configuration(context.Context) (vpn.Configuration, error) {
	return vpn.Configuration{File: "/etc/vpn/config.yaml", Problem: f.wrong, Values: []vpn.ConfigValue{
		{Key: "public_host", Value: "vpn.example.org", Origin: vpn.ConfigOrigin{Layer: "file", Where: "/etc/vpn/config.yaml:1"}, Doc: "the name"},
		{Key: "log_level", Value: "info", Origin: vpn.ConfigOrigin{Layer: "default"}, Doc: "the least weight", Default: "info", Pending: new("debug")},
	}}, f.failure
}

func (f fakeSystem) Configure(_ context.Context, p vpn.ConfigPatch) (vpn.ConfigChange, error) {
	*f.configured = p
	return vpn.ConfigChange{
		File: "/etc/vpn/config.yaml", Written: true, Changes: []vpn.ConfigDiff{{Key: "log_level", From: "info", To: "debug"}},
		Warnings: []string{"VPN_LOG_LEVEL is set for the daemon, and rules over the file"}, DryRun: f.dry,
	}, f.failure
}

func (f fakeSystem) FollowEvents(ctx context.Context, last int) (iter.Seq[[]vpn.Event], error) {
	list, err := f.Events(ctx, last)
	slices.Reverse(list)
	return slices.Values([][]vpn.Event{list[:1], list[1:]}), err
}

func (f fakeSystem) Host(context.Context) (vpn.Host, error) {
	room := vpn.Room{Total: 8e9, Used: 3e9, Free: 5e9}
	return vpn.Host{
		At: now, Name: "box", System: "Debian GNU/Linux 12 (bookworm)", Kernel: "Linux 6.1.0", Uptime: 90061,
		CPU: &vpn.HostCPU{Percent: 12.5, Cores: 2}, Load: &vpn.HostLoad{One: 0.5, Five: 0.25, Fifteen: 0.1}, Memory: &room,
		Disk:    &vpn.HostDisk{Path: "/var/lib/vpn", Room: room},
		Network: &vpn.HostNetwork{In: 2e6, Out: 1e6, TotalIn: 5e9, TotalOut: 4e9, Interfaces: []string{"eth0"}},
	}, f.failure
}

func (f fakeSystem) Reload(context.Context) (vpn.Reload, error) {
	return vpn.Reload{Changed: f.changed, DryRun: f.dry}, f.failure
}

func (f fakeSystem) Upgrade(context.Context) (vpn.Upgrade, error) { return vpn.Upgrade{}, f.failure }

// result is what a person saw of one command.
type result struct {
	status   int
	out, err string
}

// runner runs commands against a fake control plane.
type runner struct {
	plane *fakePlane
	env   map[string]string
	input string
	tty   bool
	width int
}

func (r *runner) run(t *testing.T, args ...string) result {
	t.Helper()
	return r.runIn(t.Context(), args...)
}

func (r *runner) runIn(ctx context.Context, args ...string) result {
	var out, errs bytes.Buffer
	p := newProgram(IO{
		In: strings.NewReader(r.input), Out: &out, Err: &errs,
		Getenv: func(k string) string { return r.env[k] }, Now: r.now,
		InTerminal: r.tty, OutTerminal: r.tty, ErrTerminal: r.tty, Width: r.width,
	})
	p.dial = r.dial
	p.delay = time.Hour // a machine under load may take long, and has not to say so
	status := p.run(ctx, args)
	return result{status, out.String(), errs.String()}
}

// program returns a program that says nothing to anybody.
func (r *runner) program() *program {
	return newProgram(IO{Out: io.Discard, Err: io.Discard, Getenv: func(k string) string { return r.env[k] }, Now: r.now})
}

func (r *runner) now() time.Time { return now }

func (r *runner) dial(context.Context, intent) (*connection, error) {
	return &connection{
		Client: client.InProcess(r.plane.handler()), daemon: r.plane.daemon, close: func() error { return nil },
	}, nil
}

func newRunner() *runner { return &runner{plane: newFakePlane()} }
