package container

import (
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// begin streams between two ends; over is told the end.
func begin() (control, worker net.Conn, over chan error) {
	control, in := net.Pipe()
	c, worker := net.Pipe()
	over = make(chan error, 1)
	go func() {
		over <- stream(c, in, in)
		c.Close()
		in.Close()
	}()
	return control, worker, over
}

// What is said on either side is heard on the other, for as long as something
// is said.
func TestStream(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		control, worker, over := begin()
		defer control.Close()
		defer worker.Close()
		for range 5 {
			<-time.After(streamIdle - time.Second)
			for _, way := range [][2]net.Conn{{control, worker}, {worker, control}} {
				if _, err := way[0].Write([]byte("hello")); err != nil {
					t.Fatal(err)
				}
				b := make([]byte, 5)
				if _, err := io.ReadFull(way[1], b); err != nil || string(b) != "hello" {
					t.Fatalf("heard %q, %v", b, err)
				}
			}
		}
		began := time.Now()
		if err := <-over; err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took != streamIdle {
			t.Errorf("a stream on which nothing moves ends after %v", took)
		}
	})
}

// A control plane that is gone is followed by its process, whether or not the
// worker answers it.
func TestStreamOfAHungWorker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		control, worker, over := begin()
		defer worker.Close()
		control.Close()
		began := time.Now()
		if err := <-over; err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took != streamRest {
			t.Errorf("it ends after %v", took)
		}
	})
}

// Nothing that blocks holds it up: here the engine takes nothing any more.
func TestStreamOfADeadEngine(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		control, worker, over := begin()
		defer control.Close()
		defer worker.Close()
		if _, err := worker.Write([]byte(strings.Repeat("x", 100))); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		<-over
		if took := time.Since(began); took != streamIdle {
			t.Errorf("it ends after %v", took)
		}
	})
}

// With the worker's end, the stream ends.
func TestStreamEndsWithTheWorker(t *testing.T) {
	t.Parallel()
	control, worker, over := begin()
	defer control.Close()
	worker.Close()
	if err := <-over; err != nil {
		t.Error(err)
	}
}
