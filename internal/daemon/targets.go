package daemon

import (
	"context"
	"encoding/json"
	"fmt"

	"vpn/internal/probe"
	"vpn/internal/protocol/vless"
	"vpn/internal/vpn"
)

// targets settles the Reality target of a VLESS server: the site that
// strangers see.
type targets struct{}

// Settle chooses a target where none is named, by a real check of the
// built-in ones, and checks one that is. Where none of the built-in ones can
// be reached, the worker shows a site of its own: a client can connect, and
// whoever probes sees a certificate that nobody signed.
func (targets) Settle(ctx context.Context, s vpn.Server, check bool) (vpn.Server, []string, error) {
	settings, err := vless.ParseSettings(s.Settings)
	if err != nil {
		return s, nil, err
	}
	var warnings []string
	switch settings.Target {
	case vless.SelfTarget:
		warnings = []string{selfWarning(s.Name)}
	case "", vless.AutoTarget:
		chosen, err := probe.Choose(ctx, vless.Candidates())
		if err != nil {
			chosen = vless.SelfTarget
			warnings = []string{"no built-in Reality target can be reached from here (" + err.Error() + ")", selfWarning(s.Name)}
		}
		settings.Target = chosen
	}
	if check && settings.Target != vless.SelfTarget {
		report, err := probe.Target(ctx, settings.Target, settings.ServerNames)
		if err != nil {
			return s, nil, err
		}
		// The engine measures these too; with them at hand, not even the
		// first session waits for that.
		settings.RecordLengths = report.RecordLengths
	}
	if s.Settings, err = json.Marshal(settings); err != nil {
		return s, nil, fmt.Errorf("encode settings: %w", err)
	}
	return s, warnings, nil
}

func selfWarning(server string) string {
	return "the Reality target is this server itself: strangers see a self-signed certificate, which tells them what this is. " +
		"For a server on the internet choose a real site: vpn server update " + server + " --target HOST:443"
}
