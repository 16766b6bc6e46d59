package worker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"vpn/internal/vpn"
)

// silentClient is a client of a worker that takes connections and never says
// anything.
func silentClient(t *testing.T, p Process) *Client {
	t.Helper()
	var far []net.Conn
	c := NewClient(func(context.Context) (net.Conn, error) {
		near, other := net.Pipe()
		far = append(far, other)
		go func() {
			b := make([]byte, 4096)
			for {
				if _, err := other.Read(b); err != nil {
					return
				}
			}
		}()
		return near, nil
	}, p)
	t.Cleanup(func() {
		c.Close()
		for _, f := range far {
			f.Close()
		}
	})
	return c
}

func TestSilentWorker(t *testing.T) {
	for name, c := range map[string]struct {
		call func(context.Context, *Client) error
		want time.Duration
	}{
		"health": {func(ctx context.Context, c *Client) error { _, err := c.Health(ctx); return err }, 2 * time.Second},
		"log":    {func(ctx context.Context, c *Client) error { return c.SetLog(ctx, vpn.Logging{}) }, 2 * time.Second},
		"usage":  {func(ctx context.Context, c *Client) error { _, err := c.Usage(ctx, 1); return err }, 2 * time.Second},
		"put":    {func(ctx context.Context, c *Client) error { return c.Put(ctx, fullSpec()) }, 10 * time.Second},
		"patch":  {func(ctx context.Context, c *Client) error { return c.Patch(ctx, vpn.Patch{}) }, 10 * time.Second},
		"a caller in a hurry": {func(ctx context.Context, c *Client) error {
			ctx, cancel := context.WithTimeout(ctx, time.Millisecond)
			defer cancel()
			_, err := c.Sessions(ctx)
			return err
		}, time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client := silentClient(t, newFakeProcess())
				began := time.Now()
				err := c.call(t.Context(), client)
				if vpn.KindOf(err) != vpn.Unavailable || !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("got %v", err)
				}
				if took := time.Since(began); took != c.want {
					t.Errorf("it took %s, want %s", took, c.want)
				}
			})
		})
	}
}

func TestWorkerThatIsGone(t *testing.T) {
	p := newFakeProcess()
	refused := errors.New("connection refused")
	c := NewClient(func(context.Context) (net.Conn, error) { return nil, refused }, p)
	_, err := c.Health(t.Context())
	if vpn.KindOf(err) != vpn.Unavailable || !errors.Is(err, refused) {
		t.Errorf("got %v", err)
	}
	close(p.done)
	if _, err := c.Health(t.Context()); vpn.KindOf(err) != vpn.Unavailable || !strings.Contains(err.Error(), "ended") {
		t.Errorf("got %v", err)
	}
	if cs, err := c.Stop(t.Context()); cs != nil || err != nil {
		t.Errorf("stop gives %v, %v", cs, err)
	}
	if err := c.Kill(t.Context()); err != nil {
		t.Errorf("kill gives %v", err)
	}
}

func TestNonsenseIsAnError(t *testing.T) {
	h, _ := newTestHost(t, &fakeEngine{})
	c, _ := connect(t, h)
	var into []int
	if err := c.call(t.Context(), time.Second, http.MethodGet, "/v1/health", nil, &into); vpn.KindOf(err) != vpn.Internal {
		t.Errorf("got %v", err)
	}
}

// A worker that does not follow is ended by the next harder way.
func TestStopInsists(t *testing.T) {
	for _, c := range []struct {
		ends string // what ends the process
		want string // what was done to it, in order
		kind vpn.Kind
	}{
		{ends: "terminate", want: "resume terminate"},
		{ends: "kill", want: "resume terminate kill"},
		{ends: "nothing", want: "resume terminate kill", kind: vpn.Unavailable},
	} {
		t.Run(c.ends, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newFakeProcess()
				var did []string
				do := func(what string) func() error {
					return func() error {
						did = append(did, what)
						if what == c.ends {
							close(p.done)
						}
						return nil
					}
				}
				p.resume, p.terminate, p.kill = do("resume"), do("terminate"), do("kill")
				client := silentClient(t, p)

				// Whoever waits may give up; the stop does not.
				hurry, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				if _, err := client.Stop(hurry); vpn.KindOf(err) != vpn.Unavailable {
					t.Errorf("a stop that is under way gives %v", err)
				}
				final, err := client.Stop(t.Context())
				if final != nil || kindOf(err) != c.kind {
					t.Errorf("stop gives %v, %v", final, err)
				}
				if got := strings.Join(did, " "); got != c.want {
					t.Errorf("the process was told %q, want %q", got, c.want)
				}
				if c.ends == "nothing" { // the next attempt begins anew
					_, _ = client.Stop(t.Context())
					if got := strings.Join(did, " "); got != c.want+" "+c.want {
						t.Errorf("the process was told %q", got)
					}
				}
			})
		})
	}
}

func kindOf(err error) vpn.Kind {
	if err == nil {
		return ""
	}
	return vpn.KindOf(err)
}

func TestStopThatIsNotAllowed(t *testing.T) {
	p := newFakeProcess()
	denied := fmt.Errorf("signal: %w", errors.New("operation not permitted"))
	p.resume = func() error { return denied }
	p.kill = p.resume
	c := NewClient(nil, p)
	for range 2 {
		if _, err := c.Stop(t.Context()); !errors.Is(err, denied) {
			t.Errorf("stop gives %v", err)
		}
	}
	if err := c.Kill(t.Context()); !errors.Is(err, denied) {
		t.Errorf("kill gives %v", err)
	}
}

func TestStopTellsTheFinalCounters(t *testing.T) {
	h, _ := newTestHost(t, &fakeEngine{})
	c, _ := connect(t, h)
	if err := c.Put(t.Context(), fullSpec()); err != nil {
		t.Fatal(err)
	}
	final, err := c.Stop(t.Context())
	if err != nil || final == nil || final.Epoch != "epoch-1" {
		t.Errorf("stop gives %+v, %v", final, err)
	}
	select {
	case <-c.Done():
	default:
		t.Error("stop returned before the process had ended")
	}
}
