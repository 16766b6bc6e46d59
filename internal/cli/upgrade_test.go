package cli

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"vpn/internal/vpn"
)

func TestReload(t *testing.T) {
	r := newRunner()
	r.plane.changed = []string{"log_level", "public_host"}
	if got := r.run(t, "reload"); got.status != 0 || got.out != "" || got.err != "changed: log_level, public_host\n" {
		t.Errorf("got %+v", got)
	}
	if got := r.run(t, "reload", "-q"); got.out != "log_level\npublic_host\n" {
		t.Errorf("quiet: %+v", got)
	}
	if got := r.run(t, "reload", "-o", "json"); !strings.Contains(got.out, `"log_level",`) {
		t.Errorf("as JSON: %+v", got)
	}
	r.plane.failure = vpn.Errorf(vpn.Invalid, "config.yaml:2: no such key").WithHint("remove it")
	if got := r.run(t, "reload"); got.status != 2 || !strings.Contains(got.err, "config.yaml:2") {
		t.Errorf("a refusal: %+v", got)
	}
}

// daemonAnswers is a daemon that gives one answer after the other, and the last one
// from then on. A nil answer is none at all.
type daemonAnswers struct {
	list []*vpn.Status
}

func (a *daemonAnswers) Status(context.Context) (vpn.Status, error) {
	s := a.list[0]
	if len(a.list) > 1 {
		a.list = a.list[1:]
	}
	if s == nil {
		return vpn.Status{}, vpn.Errorf(vpn.Unavailable, "no daemon answers")
	}
	return *s, nil
}

func (a *daemonAnswers) Upgrade(context.Context) (vpn.Upgrade, error) {
	return vpn.Upgrade{From: "1", To: "2"}, nil
}

func TestUpgradeWaitsForAnother(t *testing.T) {
	before := vpn.Status{Version: "1", Since: now}
	next := vpn.Status{Version: "2", Since: now.Add(time.Second)}
	back := vpn.Status{
		Version: "1", Since: now.Add(time.Second),
		Warnings: []string{"the address is private", "the upgrade to version 2 failed: it has no heart"},
	}
	for name, c := range map[string]struct {
		list []*vpn.Status
		says string // empty: it succeeds
	}{
		"at once":              {[]*vpn.Status{&next}, ""},
		"after a while":        {[]*vpn.Status{&before, &before, &next}, ""},
		"after a short death":  {[]*vpn.Status{&before, nil, nil, &next}, ""},
		"the one before again": {[]*vpn.Status{&before, &back}, "it has no heart"},
		"nobody any more":      {[]*vpn.Status{&before, nil}, "no daemon answers"},
	} {
		t.Run(name, func(t *testing.T) {
			clock := now
			p := newProgram(IO{Out: io.Discard, Err: io.Discard, Getenv: func(string) string { return "" }, Now: func() time.Time {
				clock = clock.Add(time.Second)
				return clock
			}})
			u := &upgrade{program: p, system: &daemonAnswers{c.list}, before: before, target: "/usr/bin/vpn"}
			err := u.installed(t.Context())
			switch {
			case c.says == "" && err != nil:
				t.Error(err)
			case c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)):
				t.Errorf("got %v, want %q", err, c.says)
			}
		})
	}
}

// TestQuietUpgrade: the version, and no sentence for a script to take apart.
func TestQuietUpgrade(t *testing.T) {
	for _, dry := range []bool{false, true} {
		var out strings.Builder
		p := newProgram(IO{Out: &out, Err: io.Discard, Getenv: func(string) string { return "" }})
		p.global.output, p.global.quiet = "table", true
		u := &upgrade{program: p}
		if err := u.report(vpn.Upgrade{From: "1.0", To: "2.0", DryRun: dry}, vpn.Status{}); err != nil || out.String() != "2.0\n" {
			t.Errorf("got %q, %v", out.String(), err)
		}
	}
}
