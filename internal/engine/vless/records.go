package vless

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"slices"
	"time"

	utls "github.com/refraction-networking/utls"
	"github.com/xtls/reality"
)

// After its handshake a TLS server sends records of its own: session tickets,
// the settings of HTTP/2. A session of ours has to begin with records of the
// same lengths, or an observer tells it from a visit to the target.
//
// Package reality keeps the lengths in a table for the process, and lets a
// session whose entry is missing wait in steps of five seconds until there is
// one. So the entries are there before the first connection is: what the
// settings say, or none. Then the target is asked. Reality's own measurement
// is not used: it takes five seconds, wants a certificate that verifies, and
// finds nothing where the target's handshake is longer than what it happens to
// have read when it begins to count.
const (
	quiet        = time.Second      // no more records come after such a pause,
	quietFlight  = quiet / 5        // and none of the target's side of the handshake
	measureAgain = 30 * time.Second // after a failure
	measureTime  = 15 * time.Second // for one measurement
)

// A visit is a kind of ClientHello that targets answer in their own way.
type visit struct {
	hello  utls.ClientHelloID
	protos []string
}

// visits are in the order of reality's numbers for them.
var visits = [3]visit{
	{utls.HelloGolang, nil},
	{utls.HelloGolang, []string{"http/1.1"}},
	{utls.HelloChrome_Auto, []string{"h2", "http/1.1"}},
}

// imitate makes new sessions of c begin as the target's do: at once as the
// settings say, and as the target does now when it has been asked.
func imitate(ctx context.Context, c *reality.Config, known map[string][]int, log *slog.Logger) {
	for _, name := range slices.Sorted(maps.Keys(c.ServerNames)) {
		for n, v := range visits {
			label := fmt.Sprintf("%s %d", name, n)
			key := c.Dest + " " + label
			lengths := known[label]
			if lengths == nil {
				lengths = []int{} // reality looks for the type
			}
			reality.GlobalPostHandshakeRecordsLens.LoadOrStore(key, lengths)
			go learn(ctx, c, key, name, v, log)
		}
	}
}

// learn measures until it succeeds once.
func learn(ctx context.Context, c *reality.Config, key, name string, v visit, log *slog.Logger) {
	for {
		lengths, err := measure(ctx, c, name, v)
		if err == nil {
			reality.GlobalPostHandshakeRecordsLens.Store(key, lengths)
			return
		}
		if ctx.Err() != nil {
			return
		}
		log.Warn("target not reached", slog.String("target", c.Dest), slog.String("server_name", name), slog.Any("err", err))
		select {
		case <-time.After(measureAgain):
		case <-ctx.Done():
			return
		}
	}
}

// measure visits the target and returns the lengths of the records that
// follow its handshake.
func measure(ctx context.Context, c *reality.Config, name string, v visit) ([]int, error) {
	ctx, cancel := context.WithTimeout(ctx, measureTime)
	defer cancel()
	conn, err := c.DialContext(ctx, c.Type, c.Dest)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	// It is the lengths that count: whom the target says it is, visitors can
	// judge by themselves.
	tapped := &tap{Conn: conn}
	client := utls.UClient(tapped, &utls.Config{ServerName: name, NextProtos: v.protos, InsecureSkipVerify: true}, v.hello)
	if err := client.HandshakeContext(ctx); err != nil {
		return nil, fmt.Errorf("shake hands with the target: %w", err)
	}
	return readRecords(conn), nil
}

// A tap draws the line between the target's side of the handshake and what
// comes after it: before the client's last message passes, it takes in
// everything that the target has sent so far.
type tap struct {
	net.Conn
	flight bytes.Buffer // read ahead
	done   bool         // the client's last message has passed
}

func (t *tap) Read(b []byte) (int, error) {
	if t.flight.Len() > 0 {
		return t.flight.Read(b)
	}
	return t.Conn.Read(b)
}

func (t *tap) Write(b []byte) (int, error) {
	const changeCipherSpec = 20 // sent in front of the last message, for form's sake
	if len(b) > 0 && b[0] == changeCipherSpec {
		_ = t.Conn.SetReadDeadline(time.Now().Add(quietFlight))
		_, _ = io.Copy(&t.flight, t.Conn)
		_ = t.Conn.SetReadDeadline(time.Time{})
		t.done = true
	}
	return t.Conn.Write(b)
}

// readRecords returns the lengths, headers included, of the TLS records that
// come until there is a pause.
func readRecords(conn net.Conn) []int {
	const applicationData = 23
	lengths := []int{}
	for {
		if err := conn.SetReadDeadline(time.Now().Add(quiet)); err != nil {
			return lengths
		}
		var header [5]byte
		if _, err := io.ReadFull(conn, header[:]); err != nil || header[0] != applicationData {
			return lengths
		}
		n := int(binary.BigEndian.Uint16(header[3:]))
		if _, err := io.CopyN(io.Discard, conn, int64(n)); err != nil {
			return lengths
		}
		lengths = append(lengths, len(header)+n)
	}
}
