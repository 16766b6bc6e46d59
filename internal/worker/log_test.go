package worker

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"vpn/internal/logging"
	"vpn/internal/vpn"
)

// A worker logs as it is told, from that moment on; what it does not know it
// refuses, and goes on as it did.
func TestSetLog(t *testing.T) {
	var out bytes.Buffer
	log, control, err := logging.NewBounded(&out, slog.LevelInfo, "")
	if err != nil {
		t.Fatal(err)
	}
	h, _ := newTestHost(t, &fakeEngine{})
	h.adjust = control.Adjust
	c, _ := connect(t, h)
	says := func(want bool) {
		t.Helper()
		if got := log.Enabled(t.Context(), slog.LevelDebug); got != want {
			t.Errorf("debug is logged: %v, want %v", got, want)
		}
	}
	says(false)
	if err := c.SetLog(t.Context(), vpn.Logging{Level: vpn.LogDebug, Format: "json"}); err != nil {
		t.Fatal(err)
	}
	says(true)
	for _, l := range []vpn.Logging{{}, {Level: "verbose"}, {Level: "debug+2"}, {Level: vpn.LogInfo, Format: "yaml"}} {
		if err := c.SetLog(t.Context(), l); vpn.KindOf(err) != vpn.Invalid {
			t.Errorf("%+v: %v", l, err)
		}
	}
	says(true)
	log.Debug("hello")
	if !bytes.HasPrefix(out.Bytes(), []byte(`{"time":`)) {
		t.Errorf("as JSON: %s", &out)
	}
	if err := c.SetLog(t.Context(), vpn.Logging{Level: vpn.LogInfo, Format: "text"}); err != nil {
		t.Fatal(err)
	}
	says(false)
	h, _ = newTestHost(t, &fakeEngine{})
	c, _ = connect(t, h)
	if err := c.SetLog(t.Context(), vpn.Logging{Level: vpn.LogDebug}); vpn.KindOf(err) != vpn.Invalid {
		t.Errorf("a log that nothing changes: %v", err)
	}
}

// A worker of an earlier version does not know how, which is no error.
func TestSetLogOfAnEarlierVersion(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/health", func(http.ResponseWriter, *http.Request) {})
	earlier := httptest.NewServer(mux)
	t.Cleanup(earlier.Close)
	c := NewClient(func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", earlier.Listener.Addr().String())
	}, newFakeProcess())
	t.Cleanup(c.Close)
	if err := c.SetLog(t.Context(), vpn.Logging{Level: vpn.LogDebug}); err != nil {
		t.Error(err)
	}
	if _, err := c.Sessions(t.Context()); vpn.KindOf(err) != vpn.Internal {
		t.Errorf("another call that it does not know: %v", err)
	}
}
