package client_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"testing"
	"time"

	"vpn/internal/client"
	"vpn/internal/vpn"
)

// TestStream: lines arrive while the handler goes on writing.
func TestStream(t *testing.T) {
	more := make(chan string)
	h := func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		for {
			select {
			case line := <-more:
				_, _ = io.WriteString(w, line)
				w.(http.Flusher).Flush()
			case <-r.Context().Done():
				return
			}
		}
	}
	over(t, h, func(t *testing.T, c *client.Client) {
		logs, err := c.Servers.Logs(t.Context(), "main", true, 10, time.Time{}) // returns before the first line
		if err != nil {
			t.Fatal(err)
		}
		defer logs.Close()
		lines := bufio.NewReader(logs)
		for _, want := range []string{"one\n", "two\n"} {
			more <- want
			if got, err := lines.ReadString('\n'); got != want {
				t.Fatalf("got %q, %v", got, err)
			}
		}
	})
}

// TestCloseEndsTheHandler: after Close nothing of the handler runs any more,
// so that the store behind it can be closed.
func TestCloseEndsTheHandler(t *testing.T) {
	for name, write := range map[string]bool{"waiting": false, "writing": true} {
		t.Run(name, func(t *testing.T) {
			ended := false
			c := client.InProcess(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				defer func() { ended = true }()
				w.(http.Flusher).Flush()
				for write {
					if _, err := io.WriteString(w, "line\n"); err != nil {
						return
					}
				}
				<-r.Context().Done()
			}))
			logs, err := c.Servers.Logs(t.Context(), "main", true, 10, time.Time{})
			if err != nil {
				t.Fatal(err)
			}
			if err := logs.Close(); err != nil {
				t.Error(err)
			}
			if !ended {
				t.Error("the handler still runs")
			}
		})
	}
}

// TestCancelEndsTheHandler: so it is when the caller gives up before an answer.
func TestCancelEndsTheHandler(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	ended := false
	c := client.InProcess(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		ended = true
	}))
	if _, err := c.Users.List(ctx, vpn.UserFilter{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if !ended {
		t.Error("the handler still runs")
	}
}

// What was cancelled before it began does not begin, however fast it were.
func TestInProcessBeginsNothingThatIsCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c := client.InProcess(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the handler runs") }))
	for range 100 {
		if _, err := c.Users.List(ctx, vpn.UserFilter{}); !errors.Is(err, context.Canceled) {
			t.Fatalf("error %v", err)
		}
	}
}
