package cli

import (
	"strings"
	"testing"
	"time"

	"vpn/internal/vpn"
)

func TestMonitor(t *testing.T) {
	for _, c := range []struct{ args, out, err string }{
		{"monitor traffic", `
FROM                    UP  DOWN  TOTAL  ONLINE
2026-11-23 08:00 UTC  1 MB  2 MB   3 MB     2.5
2026-11-23 09:00 UTC  1 MB  1 GB   1 GB       -
`, "in all 1 GB: 2 MB up, 1 GB down\n"},
		{"monitor traffic --by user -o plain", "2026-11-23T08:00:00Z\talice\t1000000\t2000000\t3000000\t2.5\n2026-11-23T09:00:00Z\tbob\t1000000\t1000000000\t1001000000\t-\n", ""},
		{"monitor top", `
USER       UP      DOWN  ONLINE
alice  3 kB/s  1.2 MB/s       2
`, ""},
		{"monitor top --by protocol", `
PROTOCOL  UP  DOWN  ONLINE
vless      -     -       2
`, ""},
		{"monitor top --since 24h", `
USER     UP  DOWN  TOTAL   SHARE
bob    1 MB  1 GB   1 GB  99.7 %
alice  1 MB  2 MB   3 MB   0.3 %
`, ""},
		{"monitor top --since 24h -n 1 -q", "bob\n", ""},
		{"monitor top --since 24h -n none -q", "bob\nalice\n", ""},
		{"monitor rates", `
AT                           UP    DOWN  ONLINE
2026-11-23 10:00:00 UTC  1 kB/s  2 MB/s       2
2026-11-23 10:00:01 UTC  1 kB/s  2 MB/s       2
`, ""},
		{"monitor rates --by user -o plain", "2026-11-23T10:00:00Z\talice\t1000\t2000000\t2\n2026-11-23T10:00:01Z\talice\t1000\t2000000\t2\n", ""},
		{"monitor events", `
AT                       ACTION           SUBJECT  BY            DETAIL
2026-11-23 10:00:00 UTC  users.create     alice    uid 0 (root)
2026-11-23 10:00:01 UTC  users.first_use  bob      system        expires_at 2026-12-31
`, ""},
		{"monitor events -f", `
2026-11-23 10:00:00 UTC  users.create       alice        uid 0 (root)
2026-11-23 10:00:01 UTC  users.first_use    bob          system: expires_at 2026-12-31
`, ""},
		{"monitor events -f -o json", `
{"at":"2026-11-23T10:00:00Z","actor":"uid 0 (root)","action":"users.create","subject":"alice"}
{"at":"2026-11-23T10:00:01Z","actor":"system","action":"users.first_use","subject":"bob","detail":"expires_at 2026-12-31"}
`, ""},
		{"monitor events -f --json action,detail", `
{"action":"users.create","detail":""}
{"action":"users.first_use","detail":"expires_at 2026-12-31"}
`, ""},
		{"monitor events -f -o plain", "2026-11-23T10:00:00Z\tusers.create\talice\tuid 0 (root)\t\n2026-11-23T10:00:01Z\tusers.first_use\tbob\tsystem\texpires_at 2026-12-31\n", ""},
		{"monitor events -f -q", "users.create\nusers.first_use\n", ""},
		{"monitor host", `
name        box
system      Debian GNU/Linux 12 (bookworm)
kernel      Linux 6.1.0
up for      1 day 1 h
cpu         12.5 % of 2 cores
load        0.50, 0.25 in five minutes, 0.10 in fifteen
memory      3 GB of 8 GB used (37.5 %), 5 GB free
disk        3 GB of 8 GB used (37.5 %), 5 GB free for /var/lib/vpn
in          2 MB/s, 5 GB since its start
out         1 MB/s, 4 GB since its start
interfaces  eth0
`, ""},
		{"monitor connections", `
FROM            USER   SERVER  PROTOCOL  NETWORK  SINCE                   UP  DOWN
192.0.2.7:5000  alice  main    vless     tcp      2026-11-23 10:00 UTC  1 kB  1 MB
`, ""},
	} {
		got := newRunner().run(t, strings.Fields(c.args)...)
		if got.status != 0 || strings.TrimLeft(c.out, "\n") != got.out || got.err != c.err {
			t.Errorf("vpn %s: status %d\n%s%s\nwant\n%s%s", c.args, got.status, got.out, got.err, c.out, c.err)
		}
	}
	r := newRunner()
	r.plane.idle = true
	for args, want := range map[string]string{
		"monitor traffic --since 7d": "nothing was moved since 2026-11-16 10:00 UTC\n",
		"monitor top --since 7d":     "nothing was moved since 2026-11-16 10:00 UTC\n",
		"monitor rates":              "no second is known since 2026-11-23 09:58 UTC\n",
		"monitor events":             "nothing was changed yet\n",
		"monitor connections":        "nobody is connected\n",
	} {
		if got := r.run(t, strings.Fields(args)...); got.status != 0 || got.out != "" || got.err != want {
			t.Errorf("vpn %s: got %+v", args, got)
		}
	}
}

// TestMonitorAsks: what is asked of the API, and how finely time is told if
// nobody says.
func TestMonitorAsks(t *testing.T) {
	for args, want := range map[string]vpn.HistoryQuery{
		"monitor traffic":                       {Since: now.AddDate(0, 0, -1), Step: time.Hour},
		"monitor traffic --since 2m":            {Since: now.Add(-2 * time.Minute), Step: 10 * time.Second},
		"monitor traffic --since 90s --step 1s": {Since: now.Add(-90 * time.Second), Step: time.Second},
		"monitor traffic --since 2m --user alice --server main": {
			Since: now.Add(-2 * time.Minute), Step: 5 * time.Minute, User: "alice", Server: "main",
		},
		"monitor traffic --since 3h":               {Since: now.Add(-3 * time.Hour), Step: 5 * time.Minute},
		"monitor traffic --since 30d --user alice": {Since: now.AddDate(0, 0, -30), Step: 24 * time.Hour, User: "alice"},
		"monitor traffic --since 2h --step 1h --server main --by protocol --until 1h": {
			Since: now.Add(-2 * time.Hour), Until: now.Add(-time.Hour), Step: time.Hour, Server: "main", By: vpn.ByProtocol,
		},
		"monitor top --since 1h --by server": {Since: now.Add(-time.Hour), By: vpn.ByServer},
	} {
		r := newRunner()
		if got := r.run(t, strings.Fields(args)...); got.status != 0 || *r.plane.asked != want {
			t.Errorf("vpn %s: got %+v, asked %+v", args, got, *r.plane.asked)
		}
	}
}
