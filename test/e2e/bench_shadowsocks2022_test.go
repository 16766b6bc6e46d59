//go:build linux && e2e

package e2e

import (
	"testing"

	"vpn/test/e2e/rig"
)

// benchShadowsocks2022 measures the product's Shadowsocks 2022 against xray's,
// which is the usual one.
func benchShadowsocks2022(t *testing.T, r *report) {
	const method = "2022-blake3-aes-256-gcm"
	i, logins := way{protocol: "shadowsocks", flags: []string{"--method", method}}.install(t, 1)
	bare := i.World.BareShadowsocks2022(t, port+1, method, 1)
	client := i.World.SingBox(t, logins[0], rig.Login{Link: bare.Links[0]})
	all := []named{{"ours", contender{0, i.OneWorker()}}, {"xray", contender{1, bare.PID()}}}
	b := newRace(t, r, client, "Shadowsocks 2022, xray", all[0].contender, all[1].contender)
	b.sessions()
	b.storm()
	b.transfer(false)
	b.transfer(true)
	benchIdle(t, r, "Shadowsocks 2022", client, all)
}
