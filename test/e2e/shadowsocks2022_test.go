//go:build linux && e2e

package e2e

import (
	"fmt"
	"testing"

	"vpn/internal/vpn"
	"vpn/test/e2e/rig"
)

// Both clients speak both methods, as users of one port.
func TestShadowsocks2022(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"2022-blake3-aes-128-gcm", "2022-blake3-aes-256-gcm"} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			way := way{protocol: "shadowsocks", flags: []string{"--method", method}}
			i, logins := way.install(t, 2)
			w := i.World
			for k, c := range []*rig.Client{w.Xray(t, logins...), w.SingBox(t, logins...)} {
				t.Run([]string{"xray", "sing-box"}[k], func(t *testing.T) {
					conn := c.MustOpen(t, k, false)
					if err := conn.Download(30<<20, 0); err != nil {
						t.Errorf("download: %v", err)
					}
					if err := conn.Upload(t.Context(), 30<<20, 0); err != nil {
						t.Errorf("upload: %v", err)
					}
					wantUsed(t, i, fmt.Sprint("u", k), vpn.Traffic{Up: conn.Sent(), Down: conn.Received()})
					testCurl(t, w, c, k)
					testDatagrams(t, c, k)
				})
			}
		})
	}
}
