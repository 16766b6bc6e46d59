package cli

import (
	"strings"
	"testing"
	"time"

	"vpn/internal/vpn"
)

func TestMergedLogs(t *testing.T) {
	const (
		one = "2026-11-23 10:00:00.000  INFO   control plane  control plane runs pid=42 version=1.2.3 why=\"a b\"\n"
		two = "2026-11-23 10:00:01.500  WARN   main           what \ufffd[2J comes\n"
	)
	for args, want := range map[string]string{
		"logs":    one + two,
		"logs -f": one + two,
		"logs -q": one + two,
		"logs -f -o json": `{"at":"2026-11-23T10:00:00Z","level":"info","source":"control plane","message":"control plane runs","fields":{"pid":"42","version":"1.2.3","why":"a b"}}` + "\n" +
			`{"at":"2026-11-23T10:00:01.5Z","level":"warn","source":"main","message":"what \u001b[2J comes"}` + "\n",
		"logs -f --json message": `{"message":"control plane runs"}` + "\n" + `{"message":"what \u001b[2J comes"}` + "\n",
		"logs -o plain": "2026-11-23T10:00:00Z\tinfo\tcontrol plane\tcontrol plane runs\tpid=42 version=1.2.3 why=\"a b\"\n" +
			"2026-11-23T10:00:01.5Z\twarn\tmain\twhat \ufffd[2J comes\t\n",
		"logs -f -o name": "control-plane\nmain\n",
	} {
		if got := newRunner().run(t, strings.Fields(args)...); got.status != 0 || got.out != want || got.err != "" {
			t.Errorf("vpn %s: got %d\n%s%s\nwant\n%s", args, got.status, got.out, got.err, want)
		}
	}
	r := newRunner()
	r.plane.idle = true
	if got := r.run(t, "logs"); got.status != 0 || got.out != "" || got.err != "nothing like that was logged\n" {
		t.Errorf("got %+v", got)
	}
}

func TestMergedLogsAsk(t *testing.T) {
	for args, want := range map[string]vpn.LogQuery{
		"logs": {Tail: 100},
		"logs -f --tail 0 --level warn --server main --since 10m": {
			Follow: true, Level: vpn.LogWarn, Server: "main", Since: now.Add(-10 * time.Minute),
		},
		"logs --daemon": {Tail: 100, Server: vpn.ControlPlane},
	} {
		r := newRunner()
		if got := r.run(t, strings.Fields(args)...); got.status != 0 || *r.plane.logged != want {
			t.Errorf("vpn %s: got %+v, asked %+v", args, got, *r.plane.logged)
		}
	}
	for _, args := range []string{"logs --tail -1", "logs --level loud", "logs --daemon --server main", "logs -f -o yaml"} {
		if got := newRunner().run(t, strings.Fields(args)...); got.status != 2 || got.out != "" {
			t.Errorf("vpn %s: got %+v", args, got)
		}
	}
}
