package sip022

import (
	"context"
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"vpn/internal/engine"
	"vpn/internal/engine/egress"
	"vpn/internal/engine/enginetest"
	"vpn/internal/engine/meter"
	"vpn/internal/vpn"
)

const patience = 10 * time.Second

// running is an engine with two users who may reach loopback.
type running struct {
	testing.TB
	engine *Engine
	meter  *meter.Meter
	spec   vpn.Spec
	base   uint64 // what was counted before
}

// total returns what all users have carried.
func (r *running) total() (n uint64) {
	for _, c := range r.meter.Usage(0).Counters {
		n += c.Traffic.Total()
	}
	return n
}

// defaults are the options of New.
func defaults() options {
	return options{now: time.Now, greet: greetTime, sweep: sweepEvery, idle: idleSession}
}

func start(t testing.TB, method string) *running {
	t.Helper()
	return startWith(t, method, defaults())
}

func startWith(t testing.TB, method string, o options) *running {
	t.Helper()
	s := newServer(t, method)
	s.ID, s.Name, s.Listen, s.Port = "server", "test", netip.IPv6Unspecified(), enginetest.FreePort(t, 1)
	s.Allow = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	r := &running{TB: t, spec: vpn.Spec{Server: s}}
	for _, name := range []string{"alice", "bob"} {
		r.spec.Grants = append(r.spec.Grants, vpn.Grant{
			Credential: vpn.CredentialID("c-" + name), User: vpn.UserID("u-" + name), Name: name, Secret: newSecret(sizes[method]),
		})
	}
	level := slog.LevelDebug
	if _, bench := t.(*testing.B); bench {
		level = slog.LevelWarn
	}
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: level}))
	r.meter = meter.New(meter.Options{Epoch: "epoch", Log: log})
	r.engine = newEngine(engine.Config{Meter: r.meter, Guard: egress.New(s.Allow), Log: log}, o)
	t.Cleanup(func() {
		_ = r.engine.Close()
		r.meter.Close()
	})
	r.apply()
	return r
}

func (r *running) apply() {
	r.Helper()
	r.meter.Set(r.spec.Grants)
	if err := r.engine.Apply(context.Background(), r.spec); err != nil {
		r.Fatal(err)
	}
}

// client is a device of alice's.
func (r *running) client() enginetest.Client { return r.clientOf(0) }

func (r *running) clientOf(i int) enginetest.Client {
	return enginetest.Client{
		Server: r.spec.Server, Grant: r.spec.Grants[i],
		Via: netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), r.spec.Server.Port),
	}
}
