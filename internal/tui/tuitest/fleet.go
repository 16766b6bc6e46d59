package tuitest

import (
	"context"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"time"

	"vpn/internal/vpn"
)

// Fleet is an installation that stands still: for pictures, and to measure
// with many users. It answers what is asked and takes no change.
type Fleet struct {
	N   int   // how many users
	Err error // what it answers instead, if set
}

// Status returns three servers, one of which is down.
func (f *Fleet) Status(context.Context) (vpn.Status, error) {
	if f.Err != nil {
		return vpn.Status{}, f.Err
	}
	s := vpn.Status{
		Version: "1.0.0", Daemon: true, PID: 812, DataDir: "/var/lib/vpn", Since: Now().Add(-12 * 24 * time.Hour), Synced: true,
		Users: map[vpn.UserStatus]int{}, Rate: vpn.Rate{Up: 3_500_000, Down: 61_800_000}, Servers: f.servers(),
		Warnings: []string{"server tunnel: IP forwarding is off: sysctl -w net.ipv4.ip_forward=1"},
	}
	for i := range f.N {
		s.Online += f.user(i).Online
	}
	users, _ := f.Users(context.Background())
	Count(&s, users)
	return s, nil
}

// Count sums users up in a status, as a control plane does.
func Count(s *vpn.Status, users []vpn.UserInfo) {
	var ends vpn.Endings
	s.Users, s.UsersOnline = map[vpn.UserStatus]int{}, 0
	for _, u := range users {
		s.Users[u.Status]++
		if u.Online > 0 {
			s.UsersOnline++
		}
		ends.Add(u.User, u.Status, Now())
	}
	s.Expiring, s.NearQuota = ends.Sum()
}

func (f *Fleet) servers() []vpn.ServerInfo {
	server := func(name string, p vpn.Protocol, port uint16, state vpn.ServerState, online int) vpn.ServerInfo {
		s := vpn.ServerInfo{
			Server: vpn.Server{
				ID: vpn.ServerID("s-" + name), Name: name, Protocol: p, Runtime: "process", Listen: netip.IPv6Unspecified(), Port: port, Enabled: state != vpn.Stopped,
				Settings: []byte(`{}`), CreatedAt: Now().Add(-30 * 24 * time.Hour), UpdatedAt: Now().Add(-24 * time.Hour),
			},
			State: state, Endpoint: fmt.Sprintf("vpn.example.org:%d", port), Online: online,
			Used: vpn.Traffic{Up: 81_000_000_000 * uint64(port), Down: 9_700_000_000 * uint64(port)},
		}
		if online > 0 {
			s.Rate = vpn.Rate{Up: 14_000 * uint64(online), Down: 250_000 * uint64(online)}
			s.Worker = &vpn.Worker{PID: 1000 + int(port), UID: 471000, Epoch: "e1", Version: "1.0.0", StartedAt: Now().Add(-50 * time.Hour), Memory: 34 << 20, Confined: true}
		}
		return s
	}
	since := func(s *vpn.ServerInfo, d time.Duration) { s.Since = Now().Add(-d) }
	main := server("main", "vless", 443, vpn.Running, 240)
	outline := server("outline", "shadowsocks", 8388, vpn.Failed, 0)
	outline.Problem = "port 8388 is in use by another program"
	tunnel := server("tunnel", "wireguard", 51820, vpn.Running, 31)
	since(&main, 50*time.Hour)
	since(&outline, 3*time.Minute)
	since(&tunnel, 12*24*time.Hour)
	return []vpn.ServerInfo{main, outline, tunnel, server("web", "http", 8080, vpn.Stopped, 0)}
}

// Users returns N users, by name.
func (f *Fleet) Users(context.Context) ([]vpn.UserInfo, error) {
	if f.Err != nil {
		return nil, f.Err
	}
	out := make([]vpn.UserInfo, 0, f.N)
	for i := range f.N {
		out = append(out, f.user(i))
	}
	return out, nil
}

// Online returns those of them who are online.
func (f *Fleet) Online(ctx context.Context) ([]vpn.UserInfo, error) {
	return Online(f.Users(ctx))
}

// Online returns those of users who are online.
func Online(users []vpn.UserInfo, err error) ([]vpn.UserInfo, error) {
	return slices.DeleteFunc(users, func(u vpn.UserInfo) bool { return u.Online == 0 }), err
}

func (f *Fleet) user(i int) vpn.UserInfo {
	first := [...]string{"alice", "bob", "carol", "dmitry", "elena", "farid", "grace", "hiro", "ivan", "julia"}
	u := vpn.UserInfo{User: vpn.User{
		ID: vpn.UserID(fmt.Sprintf("u%05d", i)), Name: fmt.Sprintf("%s-%04d", first[i%len(first)], i), Enabled: i%23 != 5,
		Limits:    vpn.Limits{Quota: [...]uint64{50e9, 100e9, 0, 200e9}[i%4], Devices: i % 5},
		Used:      vpn.Traffic{Up: uint64(i*97%7000) * 1e6, Down: uint64(i*1337%110_000) * 1e6},
		CreatedAt: Now().Add(-time.Duration(i%400) * 24 * time.Hour), UpdatedAt: Now().Add(-time.Duration(i%40) * time.Hour),
	}}
	if i%3 != 0 {
		u.ExpiresAt = Now().Add(time.Duration(i%97-6) * 24 * time.Hour)
	}
	if i%11 == 4 {
		u.Tags = []string{"family"}
	}
	if i%19 == 7 {
		u.Note = "pays in cash"
	}
	u.Status = u.User.Status(Now())
	if u.Status == vpn.Active && i%3 == 1 {
		u.Online = 1 + i%4
		u.Rate = vpn.Rate{Up: uint64(i%50) * 9000, Down: uint64(i%80) * 120_000}
	}
	return u
}

// Sessions returns a connection for each of the first users who is online.
func (f *Fleet) Sessions(context.Context) ([]vpn.Session, error) {
	if f.Err != nil {
		return nil, f.Err
	}
	servers := f.servers()
	var out []vpn.Session
	for i := range min(f.N, 300) {
		u := f.user(i)
		if u.Online == 0 {
			continue
		}
		s := servers[2*(i%2)]
		out = append(out, vpn.Session{
			ID: uint64(i), Credential: vpn.CredentialID(fmt.Sprintf("c%05d", i)), User: u.ID, UserName: u.Name, Server: s.Name, Protocol: s.Protocol,
			Source: netip.AddrPortFrom(netip.AddrFrom4([4]byte{203, 0, 113, byte(i)}), uint16(40000+i)), Network: "tcp",
			Since: Now().Add(-time.Duration(i*37) * time.Second), Traffic: vpn.Traffic{Up: uint64(i) * 3e5, Down: uint64(i) * 8e6},
		})
	}
	return out, nil
}

// Host returns a small machine.
func (f *Fleet) Host(context.Context) (vpn.Host, error) {
	if f.Err != nil {
		return vpn.Host{}, f.Err
	}
	return vpn.Host{
		At: Now(), Name: "fra-1", System: "Debian GNU/Linux 12 (bookworm)", Kernel: "6.1.0-40-amd64", Uptime: 12 * 24 * 3600,
		CPU: &vpn.HostCPU{Percent: 31.4, Cores: 2}, Load: &vpn.HostLoad{One: 0.42, Five: 0.38, Fifteen: 0.31},
		Memory:  &vpn.Room{Total: 512 << 20, Used: 225 << 20, Free: 287 << 20},
		Disk:    &vpn.HostDisk{Path: "/var/lib/vpn", Room: vpn.Room{Total: 20 << 30, Used: 18 << 30, Free: 2 << 30}},
		Network: &vpn.HostNetwork{In: 64_000_000, Out: 63_000_000, TotalIn: 9e12, TotalOut: 9e12, Interfaces: []string{"eth0"}},
	}, nil
}

// Rates returns waves.
func (f *Fleet) Rates(_ context.Context, q vpn.RatesQuery) (vpn.Rates, error) {
	if f.Err != nil {
		return vpn.Rates{}, f.Err
	}
	until := Now().Add(-time.Second)
	r := vpn.Rates{Since: until.Add(-vpn.RatesSpan), Until: until, By: q.By}
	names := []string{""}
	switch q.By {
	case vpn.ByServer:
		names = []string{"main", "tunnel"}
	case vpn.ByUser:
		names = []string{"bob-0001", "elena-0004", "hiro-0007", "alice-0010", "dmitry-0013"}
	}
	for i := range int(vpn.RatesSpan / time.Second) {
		at := until.Add(time.Duration(i-149) * time.Second)
		if !at.After(q.Since) {
			continue
		}
		x := float64(i)
		for k, of := range names {
			down := 42e6 * (1 + .6*math.Sin(x/17+float64(k)) + .3*math.Sin(x/5)) / float64(1+3*k)
			up := 11e6 * (1 + .5*math.Sin(x/11+1) + .3*math.Sin(x/3+float64(k))) / float64(1+3*k)
			r.Points = append(r.Points, vpn.RatePoint{At: at, Of: of, Rate: vpn.Rate{Up: uint64(max(up, 0)), Down: uint64(max(down, 0))}, Online: 240 / (1 + 7*k)})
		}
	}
	return r, nil
}
