package proxy_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"vpn/internal/engine/enginetest"
	protocol "vpn/internal/protocol/proxy"
	"vpn/internal/vpn"
)

// Without a password nobody gets in, but from where the operator said, and
// then on the account that the operator named.
func TestAnonymous(t *testing.T) {
	r := start(t, protocol.Mixed, `{"anonymous_user": "alice", "anonymous_sources": ["198.51.100.0/24"]}`)
	echo := enginetest.ListenEcho(t, "127.0.0.1")
	connect := fmt.Sprintf("CONNECT %s HTTP/1.1\r\nHost: x\r\n\r\n", echo)
	if _, err := socks(r.connect(), "", "", 1, echo); !errors.Is(err, errNoPassword) {
		t.Errorf("from elsewhere: %v", err)
	}
	if res, _ := r.say(connect); res.StatusCode != 407 {
		t.Errorf("from elsewhere: %s", res.Status)
	}
	r.set(`{"anonymous_user": "alice", "anonymous_sources": ["127.0.0.1"]}`)
	conn := r.connect()
	if _, err := socks(conn, "", "", 1, echo); err != nil {
		t.Fatal(err)
	}
	if err := enginetest.Echoes(conn); err != nil {
		t.Fatal(err)
	}
	if got := r.used(); got.Up != 5 || got.Down != 5 {
		t.Errorf("counted %+v", got)
	}
	if res, _ := r.say(connect); res.StatusCode != 200 {
		t.Errorf("from where it is allowed: %s", res.Status)
	}
	if _, err := socks(r.connect(), "alice", "wrong", 1, echo); !errors.Is(err, errNoPassword) {
		t.Errorf("with a wrong password: %v", err)
	}
	r.set(`{"anonymous_user": "nobody", "anonymous_sources": ["127.0.0.1"]}`)
	if _, err := socks(r.connect(), "", "", 1, echo); !errors.Is(err, errNoPassword) {
		t.Errorf("on nobody's account: %v", err)
	}
	if err := enginetest.Echoes(conn); err != nil {
		t.Errorf("a change of the settings broke a connection: %v", err)
	}
}

func TestSources(t *testing.T) {
	r := start(t, protocol.Mixed, `{"sources": ["127.0.0.0/8"]}`)
	echo := enginetest.ListenEcho(t, "127.0.0.1")
	conn, _, err := r.socks(1, echo)
	if err != nil {
		t.Fatal(err)
	}
	r.set(`{"sources": ["198.51.100.0/24"]}`)
	if _, _, err := r.socks(1, echo); err == nil {
		t.Error("from elsewhere somebody gets in")
	}
	if err := enginetest.Echoes(conn); err != nil {
		t.Errorf("a change of the settings broke a connection: %v", err)
	}
}

func TestAllowedDestinationsOnly(t *testing.T) {
	r := start(t, protocol.SOCKS5, `{"allow_destinations": ["localhost", "127.0.0.2"]}`)
	for host, want := range map[string]error{
		"localhost": nil, "LOCALHOST": nil, "127.0.0.2": nil, "127.0.0.1": socksError(2), "::ffff:127.0.0.1": socksError(2), "127.0.0.3": socksError(2),
	} {
		at := map[string]string{"localhost": "127.0.0.1", "LOCALHOST": "127.0.0.1", "::ffff:127.0.0.1": "127.0.0.1"}[host]
		if at == "" {
			at = host
		}
		echo := enginetest.ListenEcho(t, at)
		if _, _, err := r.socks(1, echo[:0]+"["+host+"]"+echo[len(at):]); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", host, err, want)
		}
	}
}

// Users are held to their rate of requests each, and so is a source with many
// users.
func TestRequestRate(t *testing.T) {
	r := start(t, protocol.HTTP, `{"request_rate": "5/m"}`)
	ask := "GET http://127.0.0.1:1/ HTTP/1.1\r\nHost: x\r\nProxy-Authorization: " + basic("alice", r.password()) + "\r\n\r\n"
	for i := range 7 {
		res, _ := r.say(ask)
		if late := i >= 5; late != (res.StatusCode == 429) || late && res.Header.Get("Retry-After") == "" {
			t.Errorf("request %d: %s, %v", i, res.Status, res.Header)
		}
	}
	r.spec.Grants = append(r.spec.Grants, vpn.Grant{Credential: "d", User: "v", Name: "bob", Secret: newSecret()})
	r.apply()
	bob := "GET http://127.0.0.1:1/ HTTP/1.1\r\nHost: x\r\nProxy-Authorization: " + basic("bob", r.spec.Grants[1].Secret.Reveal()) + "\r\n\r\n"
	if res, _ := r.say(bob); res.StatusCode != 429 {
		t.Errorf("another user of the same source: %s", res.Status)
	}
	r.set(`{}`)
	if res, _ := r.say(ask); res.StatusCode != 502 {
		t.Errorf("without a limit: %s", res.Status)
	}
}

// Whoever guesses waits longer and longer, for a name that exists as for one
// that does not; a user who was there before does not.
func TestGuessing(t *testing.T) {
	r := start(t, protocol.SOCKS5, `{}`)
	echo := enginetest.ListenEcho(t, "127.0.0.1")
	guess := func(name string) time.Duration {
		begin := time.Now()
		if _, err := socks(r.connect(), name, "wrong", 1, echo); !errors.Is(err, errNoPassword) {
			t.Errorf("%s: %v", name, err)
		}
		return time.Since(begin)
	}
	for i, name := range []string{"alice", "nobody", "alice"} {
		least := 250 * time.Millisecond << i
		if took := guess(name); took < least || took > least+500*time.Millisecond {
			t.Errorf("guess %d took %v, and should take %v", i, took, least)
		}
	}
	begin := time.Now()
	if _, _, err := r.socks(1, echo); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begin); took < 500*time.Millisecond {
		t.Errorf("a right guess is told from a wrong one after %v", took)
	}
	var guessers sync.WaitGroup
	for range 20 {
		conn := r.connect()
		guessers.Go(func() { _, _ = socks(conn, "alice", "wrong", 1, echo) })
	}
	defer guessers.Wait()
	begin = time.Now()
	if _, _, err := r.socks(1, echo); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begin); took > 500*time.Millisecond {
		t.Errorf("a user who is known there waits %v", took)
	}
	begin = time.Now()
	_ = r.engine.Close() // which ends those that wait, too
	if took := time.Since(begin); took > time.Second {
		t.Errorf("it takes %v to close", took)
	}
}
