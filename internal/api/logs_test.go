package api_test

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

func TestLogsParameters(t *testing.T) {
	f := newFixture(t)
	w := f.do("GET", "/v1/servers/main/logs", "")
	if w.Code != 200 || w.Body.String() != "one\ntwo\n" {
		t.Errorf("got %d %q", w.Code, w.Body)
	}
	if f.servers.asked != "logs main" || f.servers.follow || f.servers.tail != 100 {
		t.Errorf("asked %q, follow %v, tail %d", f.servers.asked, f.servers.follow, f.servers.tail)
	}
	f = newFixture(t)
	f.do("GET", "/v1/servers/main/logs?follow=true&tail=0", "")
	if !f.servers.follow || f.servers.tail != 0 {
		t.Errorf("follow %v, tail %d", f.servers.follow, f.servers.tail)
	}
}

// closed tells when somebody closes the log that it wraps.
type closed struct {
	io.ReadCloser
	once sync.Once
	done chan struct{}
}

func (c *closed) Close() error {
	c.once.Do(func() { close(c.done) })
	return c.ReadCloser.Close()
}

// TestLogsStream: each line arrives when it is written, and the log is closed
// when the client goes although nothing is logged any more.
func TestLogsStream(t *testing.T) {
	f := newFixture(t)
	pr, pw := io.Pipe()
	log := &closed{ReadCloser: pr, done: make(chan struct{})}
	f.servers.logs = log
	s := httptest.NewServer(f.handler)
	defer s.Close()

	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, "GET", s.URL+"/v1/servers/main/logs?follow=true", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req) // returns before the first line
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewReader(resp.Body)
	for _, want := range []string{"one\n", "two\n"} {
		go func() { _, _ = pw.Write([]byte(want)) }()
		if got, err := lines.ReadString('\n'); got != want {
			t.Fatalf("got %q, %v", got, err)
		}
	}
	cancel()
	select {
	case <-log.done:
	case <-time.After(5 * time.Second):
		t.Fatal("the log stays open after its reader has gone")
	}
}
