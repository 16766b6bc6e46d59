package api_test

import (
	"bufio"
	"context"
	"iter"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"vpn/internal/vpn"
)

func TestFollowedEventsAreALineEach(t *testing.T) {
	f := newFixture(t)
	w := f.do("GET", "/v1/events?follow=true&limit=0", "")
	if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "application/x-ndjson" || f.system.limit != 0 {
		t.Errorf("got %d %q, limit %d", w.Code, w.Header().Get("Content-Type"), f.system.limit)
	}
	want := []string{"one", "two", "<&>"}
	lines := strings.Split(strings.TrimSuffix(w.Body.String(), "\n"), "\n")
	if len(lines) != len(want) {
		t.Fatalf("got %q", w.Body)
	}
	for i, line := range lines {
		if !strings.HasPrefix(line, "{") || !strings.Contains(line, `"action":"`+want[i]+`"`) {
			t.Errorf("line %d is %q", i, line)
		}
	}
	f.system.err = vpn.Errorf(vpn.Unavailable, "no daemon is running")
	if w := f.do("GET", "/v1/events?follow=true", ""); w.Code != http.StatusServiceUnavailable || w.Header().Get("Content-Type") != "application/problem+json" {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
}

func TestMergedLogsDecodeEveryParameter(t *testing.T) {
	f := newFixture(t)
	w := f.do("GET", "/v1/logs?follow=true&tail=5&level=warn&server=main&since=2026-11-01T00:00:00.5Z", "")
	want := vpn.LogQuery{Follow: true, Tail: 5, Level: vpn.LogWarn, Server: "main", Since: time.Date(2026, 11, 1, 0, 0, 0, 5e8, time.UTC)}
	if f.system.logs != want || w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `"message":"one"`) {
		t.Errorf("got %d %s, asked %+v", w.Code, w.Body, f.system.logs)
	}
	if f.do("GET", "/v1/logs", ""); f.system.logs != (vpn.LogQuery{Tail: 100}) {
		t.Errorf("asked %+v", f.system.logs)
	}
}

// dripping is a system whose events come when a test says so.
type dripping struct {
	fakeSystem
	events chan vpn.Event
	ended  chan struct{}
}

func (d *dripping) FollowEvents(ctx context.Context, _ int) (iter.Seq[[]vpn.Event], error) {
	return func(yield func([]vpn.Event) bool) {
		defer close(d.ended)
		for {
			select {
			case e := <-d.events:
				if !yield([]vpn.Event{e}) {
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}, nil
}

// Each line arrives when it is there, and the feed ends with its reader.
func TestFollowedEventsArriveAtOnce(t *testing.T) {
	d := &dripping{events: make(chan vpn.Event), ended: make(chan struct{})}
	s := httptest.NewServer(handlerOf(t, d))
	defer s.Close()
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, "GET", s.URL+"/v1/events?follow=true", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req) // returns before the first line
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewReader(resp.Body)
	for _, want := range []string{"one", "two"} {
		d.events <- vpn.Event{Action: want}
		if got, err := lines.ReadString('\n'); err != nil || !strings.Contains(got, want) {
			t.Fatalf("got %q, %v", got, err)
		}
	}
	cancel()
	select {
	case <-d.ended:
	case <-time.After(5 * time.Second):
		t.Fatal("the feed goes on after its reader has gone")
	}
}
