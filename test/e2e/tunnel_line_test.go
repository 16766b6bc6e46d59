//go:build linux && e2e

package e2e

import (
	"fmt"
	"testing"
	"time"

	"vpn/test/xfer"
)

// A line that drops what is above its rate, as those of providers and of
// mobile networks do, slows a tunnel down to that rate and no further. It is
// 1.4 s of work for 16 MiB; who loses his place after a burst of losses takes
// minutes.
func TestTunnelOnANarrowLine(t *testing.T) {
	t.Parallel()
	const size, rate, patience = 12 << 20, 4, 15 * time.Second
	for _, carrier := range []string{"tun", "userspace"} {
		t.Run(carrier, func(t *testing.T) {
			t.Parallel()
			x := tunnel(t, 1, "--carrier", carrier)
			p := x.phones[0]
			var rules string
			for hook, port := range map[string]string{"input": "sport", "output": "dport"} {
				rules += fmt.Sprintf("add chain inet line %[1]s { type filter hook %[1]s priority 0; };"+
					"add rule inet line %[1]s udp %[2]s %[3]d limit rate over %[4]d mbytes/second burst 150 kbytes drop;", hook, port, wgPort, rate)
			}
			p.Output(t, "nft", "add table inet line;"+rules)
			for name, move := range map[string]func(*xfer.Conn, uint64) error{"download": (*xfer.Conn).Pull, "upload": (*xfer.Conn).Push} {
				for range 2 {
					conn, err := p.Open(within(t, 10*time.Second), x.World)
					if err != nil {
						t.Fatal(err)
					}
					late := time.AfterFunc(patience, func() { conn.Close() })
					begun := time.Now()
					err = move(conn, size)
					if !late.Stop() {
						t.Fatalf("a %s of %d MB was not over after %s", name, size>>20, patience)
					}
					conn.Close()
					if err != nil {
						t.Fatalf("%s: %v", name, err)
					}
					t.Logf("%s: %.1f MB/s", name, size/1e6/time.Since(begun).Seconds())
				}
			}
		})
	}
}
