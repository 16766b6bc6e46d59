package worker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"vpn/internal/engine"
	"vpn/internal/vpn"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const fakeProtocol vpn.Protocol = "fake"

// fakeEngine does what its fields say.
type fakeEngine struct {
	apply func(context.Context, vpn.Spec) error
	close func() error
}

func (e *fakeEngine) Apply(ctx context.Context, s vpn.Spec) error {
	if e.apply == nil {
		return nil
	}
	return e.apply(ctx, s)
}

func (e *fakeEngine) Close() error {
	if e.close == nil {
		return nil
	}
	return e.close()
}

// newTestHost returns a host around e, and what it writes as its last.
func newTestHost(t *testing.T, e *fakeEngine) (*host, *bytes.Buffer) {
	t.Helper()
	var final bytes.Buffer
	h := newHost(hostOptions{
		engines: map[vpn.Protocol]engine.New{
			fakeProtocol: func(engine.Config) (engine.Engine, error) { return e, nil },
		},
		version: "v", log: slog.New(slog.DiscardHandler), epoch: "epoch-1", final: &final,
	})
	t.Cleanup(h.meter.Close)
	return h, &final
}

// fakeProcess is a process that tests end by hand.
type fakeProcess struct {
	done      chan struct{}
	resume    func() error
	terminate func() error
	kill      func() error
}

func newFakeProcess() *fakeProcess {
	nothing := func() error { return nil }
	return &fakeProcess{done: make(chan struct{}), resume: nothing, terminate: nothing, kill: nothing}
}

func (p *fakeProcess) Resume() error         { return p.resume() }
func (p *fakeProcess) Terminate() error      { return p.terminate() }
func (p *fakeProcess) Kill() error           { return p.kill() }
func (p *fakeProcess) Done() <-chan struct{} { return p.done }

// connect serves h as a worker's process does, until the test ends, and
// returns a client of it.
func connect(t *testing.T, h *host) (*Client, *fakeProcess) {
	t.Helper()
	dir, err := os.MkdirTemp("", "vpn") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	p := newFakeProcess()
	go func() {
		defer close(p.done)
		_ = serve(ctx, l, h)
	}()
	c := NewClient(func(ctx context.Context) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", path)
	}, p)
	t.Cleanup(func() {
		cancel()
		<-p.done
		c.Close()
		os.RemoveAll(dir)
	})
	return c, p
}

// fullSpec has something in every field.
func fullSpec() vpn.Spec {
	return vpn.Spec{
		Generation: "g", Revision: 3,
		Server: vpn.ServerSpec{
			ID: "abcdefghij234567", Name: "main", Protocol: fakeProtocol,
			Listen: netip.MustParseAddr("::"), Port: 443,
			Allow:    []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
			Settings: json.RawMessage(`{"target":"example.org:443"}`), Private: vpn.NewSecret("private-key"),
		},
		Grants: []vpn.Grant{fullGrant()},
	}
}

func fullGrant() vpn.Grant {
	return vpn.Grant{
		Credential: "c1", User: "u1", Name: "alice", Secret: vpn.NewSecret("password"),
		NotBefore: time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC), NotAfter: time.Date(2027, 1, 2, 3, 4, 5, 6, time.UTC),
		Hold: vpn.Hold{
			ValidFor: 5, HeldSince: time.Date(2026, 2, 3, 4, 5, 6, 7000, time.UTC), FirstUsedAt: time.Date(2026, 3, 4, 5, 6, 7, 8000, time.UTC),
		},
		Throttle: 6, Blocked: true, Capped: true, RateUp: 1, RateDown: 2, Devices: 3, Connections: 4,
	}
}

func diff(want, got any) string {
	return cmp.Diff(want, got,
		cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
		cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
		cmp.Comparer(func(a, b json.RawMessage) bool { return compact(a) == compact(b) }))
}

func compact(m json.RawMessage) string {
	var b bytes.Buffer
	_ = json.Compact(&b, m)
	return b.String()
}

// The wire format is a promise to workers and control planes of other
// versions: a name in it is never changed.
func TestWireFormat(t *testing.T) {
	patch := vpn.Patch{
		Generation: "g", Base: 3, Revision: 4, Upsert: []vpn.Grant{fullGrant()}, Remove: []vpn.CredentialID{"c2"},
	}
	for _, c := range []struct {
		file string
		out  any
		back func([]byte) (any, error)
		want any
	}{
		{"spec.json", toWireSpec(fullSpec()), func(b []byte) (any, error) {
			var w wireSpec
			err := json.Unmarshal(b, &w)
			return w.spec(), err
		}, fullSpec()},
		{"patch.json", toWirePatch(patch), func(b []byte) (any, error) {
			var w wirePatch
			err := json.Unmarshal(b, &w)
			return w.patch(), err
		}, patch},
	} {
		golden, err := os.ReadFile(filepath.Join("testdata", c.file))
		if err != nil {
			t.Fatal(err)
		}
		got, err := json.MarshalIndent(c.out, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(string(golden), string(got)+"\n"); d != "" {
			t.Errorf("%s: -want +got\n%s", c.file, d)
		}
		back, err := c.back(golden)
		if err != nil {
			t.Fatal(err)
		}
		if d := diff(c.want, back); d != "" {
			t.Errorf("%s read back: -want +got\n%s", c.file, d)
		}
	}
}

func TestSpecReachesTheEngine(t *testing.T) {
	var applied []vpn.Spec
	h, _ := newTestHost(t, &fakeEngine{apply: func(_ context.Context, s vpn.Spec) error {
		applied = append(applied, s)
		return nil
	}})
	c, _ := connect(t, h)
	spec := fullSpec()
	if err := c.Put(t.Context(), spec); err != nil {
		t.Fatal(err)
	}
	second := fullGrant()
	second.Credential = "c2"
	err := c.Patch(t.Context(), vpn.Patch{
		Generation: "g", Base: 3, Revision: 4, Upsert: []vpn.Grant{second}, Remove: []vpn.CredentialID{"c1"},
	})
	if err != nil {
		t.Fatal(err)
	}
	after := fullSpec()
	after.Revision, after.Grants = 4, []vpn.Grant{second}
	if d := diff([]vpn.Spec{spec, after}, applied); d != "" {
		t.Errorf("applied: -want +got\n%s", d)
	}
	for addr, want := range map[string]bool{"10.1.2.3": true, "192.168.1.2": false} {
		if got := h.guard.Permits(netip.MustParseAddr(addr)); got != want {
			t.Errorf("the guard permits %s: %v, want %v", addr, got, want)
		}
	}
}

func TestErrorsCrossWhole(t *testing.T) {
	var fail error
	h, _ := newTestHost(t, &fakeEngine{apply: func(context.Context, vpn.Spec) error { return fail }})
	c, _ := connect(t, h)
	for _, k := range []vpn.Kind{vpn.Invalid, vpn.NotFound, vpn.Conflict, vpn.Denied, vpn.Unavailable, vpn.Internal} {
		want := vpn.Errorf(k, "it is %s", k).WithHint("do something about %s", k)
		fail = want
		err := c.Put(t.Context(), fullSpec())
		got, ok := errors.AsType[*vpn.Error](err)
		if !ok || got.Kind != k || got.Message != want.Message || got.Hint != want.Hint {
			t.Errorf("%+v arrives as %+v", want, err)
		}
	}
	fail = os.ErrClosed
	if err := c.Put(t.Context(), fullSpec()); vpn.KindOf(err) != vpn.Internal || err.Error() != os.ErrClosed.Error() {
		t.Errorf("a plain error arrives as %v", err)
	}
}

func TestRequestsOfOtherVersions(t *testing.T) {
	h, _ := newTestHost(t, &fakeEngine{})
	c, _ := connect(t, h)
	for _, r := range []struct {
		method, path, body string
		status             int
	}{
		{http.MethodPut, "/v1/spec", `{"revision":1,"server":{"id":"s","protocol":"fake","future":1},"future":{}}`, 200},
		{http.MethodGet, "/v1/usage", "", 200},
		{http.MethodGet, "/v1/usage?after=x", "", 400},
		{http.MethodGet, "/v1/sessions", "", 200},
		{http.MethodDelete, "/v1/sessions", "", 400},
		{http.MethodPut, "/v1/spec", `{"revision":`, 400},
		{http.MethodPut, "/v1/spec", `{"revision":-1}`, 400},
		{http.MethodGet, "/v2/health", "", 404},
	} {
		req, err := http.NewRequestWithContext(t.Context(), r.method, "http://worker"+r.path, bytes.NewBufferString(r.body))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := c.http.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != r.status {
			t.Errorf("%s %s %s answers %s, want %d", r.method, r.path, r.body, resp.Status, r.status)
		}
	}
	if err := c.call(t.Context(), time.Second, http.MethodGet, "/v2/health", nil, nil); vpn.KindOf(err) != vpn.Internal {
		t.Errorf("a call that the worker does not know gives %v", err)
	}
}
