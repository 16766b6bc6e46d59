package users_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"vpn/internal/tui"
	"vpn/internal/tui/key"
	"vpn/internal/tui/page"
	"vpn/internal/tui/page/users"
	"vpn/internal/tui/tuitest"
	"vpn/internal/vpn"
)

// plane answers about the users of a fleet, writes down what it is asked to
// change, and fails for whom it is told to.
type plane struct {
	*tuitest.Fleet
	calls   []string
	fails   map[string]error
	access  []vpn.Access
	devices []vpn.Device
	shown   int
}

func newPlane(n int) *plane {
	return &plane{Fleet: &tuitest.Fleet{N: n}, fails: map[string]error{}, access: []vpn.Access{
		{Server: "main", Protocol: "vless", Link: "vless://2b9f@vpn.example.org:443?security=reality#main"},
		{Server: "tunnel", Protocol: "wireguard", Device: "phone", File: &vpn.File{Name: "tunnel.conf", Text: "[Interface]\nPrivateKey = abc\n"}, Note: "one device at a time"},
	}, devices: []vpn.Device{{Name: "phone", Servers: []string{"main", "tunnel"}}}}
}

func (f *plane) api() users.API {
	return users.API{Users: userAPI{f}, Devices: deviceAPI{f}, Usage: usageAPI{f}}
}

func (f *plane) find(id string) (vpn.UserInfo, error) {
	list, err := f.Fleet.Users(context.Background())
	for _, u := range list {
		if string(u.ID) == id {
			return u, err
		}
	}
	return vpn.UserInfo{}, errors.Join(err, vpn.Errorf(vpn.NotFound, "there is no user %q", id))
}

func (f *plane) change(id, format string, args ...any) (vpn.UserChange, error) {
	u, err := f.find(id)
	if err == nil {
		err = f.fails[u.Name]
	}
	if err == nil {
		f.calls = append(f.calls, u.Name+" "+fmt.Sprintf(format, args...))
	}
	return vpn.UserChange{User: u, Synced: true, Access: f.access[:1]}, err
}

func (f *plane) wantCalls(t *testing.T, want ...string) {
	t.Helper()
	if got := strings.Join(f.calls, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("asked for\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
	f.calls = nil
}

type userAPI struct{ *plane }

func (f userAPI) Create(_ context.Context, in vpn.NewUser) (vpn.UserChange, error) {
	f.calls = append(f.calls, fmt.Sprintf("%s create %+v", in.Name, in.Limits))
	return vpn.UserChange{Synced: true}, nil
}

func (f userAPI) Show(_ context.Context, id string) (vpn.UserDetail, error) {
	f.shown++
	u, err := f.find(id)
	d := vpn.UserDetail{UserInfo: u, Servers: []vpn.UserServer{
		{Server: "main", Protocol: "vless", Allowed: true, Used: vpn.Traffic{Up: 1e9, Down: 26e9}},
		{Server: "outline", Protocol: "shadowsocks", Allowed: false, Used: vpn.Traffic{}},
		{Server: "tunnel", Protocol: "wireguard", Allowed: true, Used: vpn.Traffic{Up: 3e8, Down: 4e9}},
	}, Resets: []vpn.Reset{{At: tuitest.Now().AddDate(0, 0, -22), Actor: "system", Since: tuitest.Now().AddDate(0, 0, -52), Used: vpn.Traffic{Down: 31e9}}}}
	for i := range u.Online {
		d.Sessions = append(d.Sessions, vpn.Session{
			User: u.ID, Server: "main", Protocol: "vless", Source: netip.AddrPortFrom(netip.AddrFrom4([4]byte{203, 0, 113, byte(5 + i/2)}), uint16(40000+i)),
			Network: "tcp", Since: tuitest.Now().Add(-time.Duration(i+1) * 17 * time.Minute), Traffic: vpn.Traffic{Up: 4e6, Down: 9e7},
		})
	}
	return d, err
}

func (f userAPI) Update(_ context.Context, id string, p vpn.UserPatch) (vpn.UserChange, error) {
	what := "update"
	if p.Enabled != nil {
		what += fmt.Sprintf(" enabled %t", *p.Enabled)
	}
	if p.ExpiresAt != nil {
		what += " expires " + p.ExpiresAt.Format(time.DateOnly)
	}
	if p.Quota != nil {
		what += fmt.Sprintf(" quota %d", *p.Quota)
	}
	return f.change(id, "%s", what)
}

func (f userAPI) Delete(_ context.Context, id string) (vpn.UserChange, error) {
	return f.change(id, "delete")
}

func (f userAPI) Restore(_ context.Context, id string, _ vpn.UserRestore) (vpn.UserChange, error) {
	return f.change(id, "restore")
}

func (f userAPI) Reset(_ context.Context, id string) (vpn.UserChange, error) {
	return f.change(id, "reset")
}

func (f userAPI) Kick(_ context.Context, id string) (vpn.Kicked, error) {
	_, err := f.change(id, "kick")
	return vpn.Kicked{Connections: 2}, err
}

func (f userAPI) Access(context.Context, string) ([]vpn.Access, error) { return f.access, nil }

type deviceAPI struct{ *plane }

func (f deviceAPI) Add(_ context.Context, id string, in vpn.NewDevice) (vpn.UserChange, error) {
	return f.change(id, "device add %s %v", in.Name, in.Servers)
}

func (f deviceAPI) List(context.Context, string) ([]vpn.Device, error) { return f.devices, nil }

func (f deviceAPI) Remove(_ context.Context, id, device string) (vpn.UserChange, error) {
	return f.change(id, "device remove %s", device)
}

func (f deviceAPI) Rotate(_ context.Context, id string, in vpn.Rotation) (vpn.UserChange, error) {
	return f.change(id, "rotate %s %s old ends %s", in.Server, in.Device, in.OldEnds.Format(time.DateOnly))
}

type usageAPI struct{ *plane }

func (usageAPI) History(_ context.Context, q vpn.HistoryQuery) (vpn.History, error) {
	h := vpn.History{Since: q.Since, Until: q.Until, Step: int64(q.Step / time.Second)}
	for i := range 30 {
		p := vpn.HistoryPoint{At: q.Since.Add(time.Duration(i) * q.Step), Traffic: vpn.Traffic{Up: uint64(i%5) * 1e8, Down: uint64(i*i%17) * 3e8}}
		h.Points = append(h.Points, p)
		h.Total = h.Total.Add(p.Traffic)
	}
	return h, nil
}

// atOnce is a timer that does not wait.
func atOnce(_ time.Duration, fn func(time.Time) tea.Msg) tea.Cmd {
	return func() tea.Msg { return fn(tuitest.Now()) }
}

// made returns the UI with the page, of which f answers.
func made(o tui.Options, f *plane, with users.Options) *tui.App {
	o.Source = f
	if with.After == nil {
		with.After = atOnce
	}
	return alone(o, f, with)
}

// drive opens the screen in a terminal of that size.
func drive(t testing.TB, f *plane, w, h int) *tuitest.Driver {
	t.Helper()
	o, _ := tuitest.Options(t)
	return tuitest.Drive(t, made(o, f, users.Options{}), w, h).Press("2")
}

// alone is made, of which o.Source answers what is asked on every screen.
func alone(o tui.Options, f *plane, with users.Options) *tui.App {
	return tuitest.Alone(o, key.Users, func(fr page.Frame) page.Page { return users.New(fr, f.api(), with) })
}
