package xfer

import (
	"crypto/tls"
	"io"
	"net"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// dial returns a client of a new server, through wrap if it is given.
func dial(t *testing.T, wrap func(net.Conn) net.Conn, config *tls.Config) *Conn {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var inside *tls.Config
	if config != nil {
		site := httptest.NewTLSServer(nil)
		t.Cleanup(site.Close)
		inside = site.TLS
	}
	t.Cleanup(func() { l.Close() })
	go new(Server).Serve(l, inside)
	raw, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { raw.Close() })
	if wrap != nil {
		raw = wrap(raw)
	}
	return NewConn(raw, config)
}

func TestEveryOperationArrivesWhole(t *testing.T) {
	for name, config := range map[string]*tls.Config{
		"plain": nil,
		"TLS":   {InsecureSkipVerify: true},
	} {
		t.Run(name, func(t *testing.T) {
			c := dial(t, nil, config)
			if err := c.Warm(); err != nil {
				t.Error(err)
			}
			if err := c.Echo(3 << 20); err != nil {
				t.Error(err)
			}
			if err := c.Download(3<<20, 0); err != nil {
				t.Error(err)
			}
			if err := c.Upload(t.Context(), 3<<20, 0); err != nil {
				t.Error(err)
			}
			if err := c.Pull(3 << 20); err != nil {
				t.Error(err)
			}
			if err := c.Push(3 << 20); err != nil {
				t.Error(err)
			}
			if err := c.Close(); err != nil {
				t.Error(err)
			}
			if c.Received() < 9<<20 || c.Sent() < 9<<20 {
				t.Errorf("counted %d up, %d down", c.Sent(), c.Received())
			}
		})
	}
}

func TestPlainCountsAreExact(t *testing.T) {
	c := dial(t, nil, nil)
	for _, err := range []error{c.Echo(1000), c.Download(2000, 0), c.Upload(t.Context(), 3000, 0), c.Pull(4000), c.Push(5000), c.Close()} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if up, down := c.Sent(), c.Received(); up != 5*requestSize+9000 || down != 7000+2*32+1 {
		t.Errorf("sent %d, received %d", up, down)
	}
}

// A tampered stream flips one bit of what is read, at one offset.
type tampered struct {
	net.Conn
	at int
}

func (c *tampered) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.at >= 0 && c.at < n {
		p[c.at] ^= 1
	}
	c.at -= n
	return n, err
}

func TestAChangedBitIsSeen(t *testing.T) {
	tamper := func(c net.Conn) net.Conn { return &tampered{c, 70_000} }
	if err := dial(t, tamper, nil).Download(100_000, 0); err == nil || !strings.Contains(err.Error(), "changed") {
		t.Errorf("download: %v", err)
	}
	if err := dial(t, tamper, nil).Echo(100_000); err == nil || !strings.Contains(err.Error(), "differs") {
		t.Errorf("echo: %v", err)
	}
}

func TestPaceIsKept(t *testing.T) {
	const rate = 4 << 20
	c := dial(t, nil, nil)
	start := time.Now()
	if err := c.Download(rate/4, rate); err != nil {
		t.Fatal(err)
	}
	if err := c.Upload(t.Context(), rate/4, rate); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took < 450*time.Millisecond {
		t.Errorf("half a second's worth took %v", took)
	}
}

func TestEndedTellsAnEndFromSilence(t *testing.T) {
	near, far := net.Pipe()
	c := NewConn(near, nil)
	if c.Ended(20 * time.Millisecond) {
		t.Error("a silent connection counts as ended")
	}
	go io.WriteString(far, "x")
	if c.Ended(time.Second) {
		t.Error("a connection that speaks counts as ended")
	}
	far.Close()
	if !c.Ended(time.Second) {
		t.Error("an ended connection counts as alive")
	}
}
