package wireguard

import (
	"encoding/json"
	"testing"
	"time"

	"vpn/internal/engine"
	"vpn/internal/engine/enginetest"
	"vpn/internal/protocol/wireguard"
	"vpn/internal/vpn"
)

// hasty is for tests: nobody waits three minutes for a device to be gone.
var hasty = patience{every: 100 * time.Millisecond, silence: 2 * time.Second}

func newHasty(c engine.Config) (engine.Engine, error) { return newEngine(c, hasty), nil }

// server returns a server of that carrier.
func server(t testing.TB, carrier string) vpn.ServerSpec {
	t.Helper()
	s, err := wireguard.Protocol{}.Prepare(vpn.Server{
		Protocol: wireguard.Name, Settings: json.RawMessage(`{"subnet":"10.7.0.0/16","carrier":"` + carrier + `"}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	return vpn.ServerSpec{Protocol: wireguard.Name, Settings: s.Settings, Private: s.Private}
}

func TestUserspace(t *testing.T) {
	t.Parallel()
	var except []string
	if enginetest.Raced { // two stacks of gVisor's under the race detector move less than the rates
		except = []string{"rate", "throttled user"}
	}
	enginetest.Run(t, enginetest.Harness{
		Except:  except,
		New:     newHasty,
		Server:  func(t testing.TB) vpn.ServerSpec { return server(t, wireguard.Userspace) },
		Secret:  newSecret,
		Dial:    newClients().dial,
		Listens: "udp",
		Tunnel:  true,
	})
}
