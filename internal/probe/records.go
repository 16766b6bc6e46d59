package probe

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"
)

// The types and sizes of TLS records, RFC 8446 section 5.
const (
	recordChangeCipherSpec = 20
	recordHandshake        = 22
	recordApplicationData  = 23

	recordHeader = 5
	minEncrypted = recordHeader + 1 + 16 // a byte of type and a tag
	maxEncrypted = recordHeader + 1<<14 + 256
	maxRecords   = 64
)

type record struct {
	kind byte
	size int // header included
}

// splitRecords returns the records at the start of data, up to the first that
// is cut off or no record.
func splitRecords(data []byte) []record {
	var out []record
	for len(data) >= recordHeader {
		size := recordHeader + int(binary.BigEndian.Uint16(data[3:5]))
		if data[1] != 3 || size > len(data) {
			break
		}
		out = append(out, record{data[0], size})
		data = data[size:]
	}
	return out
}

// tap keeps a copy of what is read, as far as it can matter.
type tap struct {
	net.Conn
	got []byte
}

func (t *tap) Read(b []byte) (int, error) {
	n, err := t.Conn.Read(b)
	if len(t.got) < 8*maxFlight {
		t.got = append(t.got, b[:n]...)
	}
	return n, err
}

// alpns are what clients may offer, by the number that stands for it in
// [Report.RecordLengths].
var alpns = [][]string{nil, {"http/1.1"}, {"h2", "http/1.1"}}

// recordLengths measures what the site at addr sends after a handshake.
func (p prober) recordLengths(ctx context.Context, addr string, names []string) map[string][]int {
	var mu sync.Mutex
	out := map[string][]int{}
	each(len(names)*len(alpns), func(i int) {
		name, n := strings.ToLower(names[i/len(alpns)]), i%len(alpns)
		if lengths, ok := p.measure(ctx, addr, name, n); ok {
			mu.Lock()
			out[name+" "+strconv.Itoa(n)] = lengths
			mu.Unlock()
		}
	})
	return out
}

// measure returns the lengths of the records that come after a handshake,
// unasked. They are read below TLS, for that is how an observer sees them.
func (p prober) measure(ctx context.Context, addr, name string, alpn int) ([]int, bool) {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	raw, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, false
	}
	defer func() { _ = raw.Close() }() // nothing is lost
	conf := &tls.Config{RootCAs: p.roots, ServerName: name, NextProtos: alpns[alpn], MinVersion: tls.VersionTLS13}
	if alpn == len(alpns)-1 {
		// Browsers offer to resume, and so get session tickets. Clients that
		// offer less are no browsers, and do not.
		conf.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	}
	if err := tls.Client(raw, conf).HandshakeContext(ctx); err != nil {
		return nil, false
	}
	lengths := []int{}
	for _, r := range splitRecords(p.listen(ctx, raw)) {
		if r.kind != recordApplicationData || r.size < minEncrypted || r.size > maxEncrypted || len(lengths) == maxRecords {
			break
		}
		lengths = append(lengths, r.size)
	}
	return lengths, true
}

// listen returns what comes in until nothing has come for a while.
func (p prober) listen(ctx context.Context, conn net.Conn) []byte {
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() }) // ends a Read
	defer stop()
	var data []byte
	buf := make([]byte, 16<<10)
	for len(data) < maxRecords*maxEncrypted {
		if conn.SetReadDeadline(time.Now().Add(p.quiet)) != nil {
			break
		}
		n, err := conn.Read(buf)
		data = append(data, buf[:n]...)
		if err != nil {
			break
		}
	}
	return data
}
