package docker

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/moby/moby/api/pkg/stdcopy"

	"vpn/internal/vpn"
)

// piece is what a process has written to one of its outputs, as engines send
// it.
func piece(of stdcopy.StdType, text string) string {
	head := make([]byte, 8)
	head[0] = byte(of)
	binary.BigEndian.PutUint32(head[4:], uint32(len(text)))
	return string(head) + text
}

func TestReadAStream(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 100_000)
	for _, c := range []struct{ name, sent, want, says string }{
		{"nothing", "", "", ""},
		{"pieces", piece(stdcopy.Stdout, "hel") + piece(stdcopy.Stdout, "") + piece(stdcopy.Stdout, "lo"+long), "hello" + long, ""},
		{"both outputs", piece(stdcopy.Stderr, "vpn: no ") + piece(stdcopy.Stdout, "hello") + piece(stdcopy.Stderr, "worker\n"), "hello", "vpn: no worker"},
		{"a talkative process", piece(stdcopy.Stderr, long), "", "xxxxxxxx"},
		{"a broken piece", piece(stdcopy.Stdout, "hello")[:10], "he", ""},
	} {
		for how, r := range map[string]io.Reader{
			"whole": strings.NewReader(c.sent), "by bytes": iotest.OneByteReader(strings.NewReader(c.sent)),
		} {
			got, err := io.ReadAll(&stream{r: r})
			if string(got) != c.want {
				t.Errorf("%s, %s: read %.20q", c.name, how, got)
			}
			if (err == nil) != (c.says == "") || err != nil && (vpn.KindOf(err) != vpn.Unavailable || !strings.Contains(err.Error(), c.says)) {
				t.Errorf("%s, %s: %v", c.name, how, err)
			}
		}
	}
}

// A reader whose time is over reads on later where it was, in the middle of a
// piece's head too.
func TestDeadlineOfAStream(t *testing.T) {
	t.Parallel()
	engine, c := net.Pipe()
	defer engine.Close()
	s := &stream{Conn: c, r: c}
	defer s.Close()
	sent := piece(stdcopy.Stdout, "hello")
	b := make([]byte, 10)
	for _, part := range []string{sent[:3], sent[3:8]} {
		if err := s.SetReadDeadline(time.Time{}); err != nil {
			t.Fatal(err)
		}
		go func() {
			_, _ = io.WriteString(engine, part) // returns once it is read
			_ = s.SetReadDeadline(time.Unix(1, 0))
		}()
		if n, err := s.Read(b); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("read %d, %v", n, err)
		}
	}
	go io.WriteString(engine, sent[8:])
	if err := s.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	if n, err := s.Read(b); err != nil || string(b[:n]) != "hello" {
		t.Errorf("read %q, %v", b[:n], err)
	}
}
