package app

import (
	"context"
	"iter"

	"vpn/internal/vpn"
)

// Logs returns lines of the control plane's log and of the servers', merged by
// time.
func (s *SystemInfo) Logs(ctx context.Context, q vpn.LogQuery) (iter.Seq[[]vpn.LogLine], error) {
	if _, err := authorize(ctx, "system.logs"); err != nil {
		return nil, err
	}
	if q.Tail < 0 || q.Tail > vpn.MostLogLines {
		return nil, vpn.Errorf(vpn.Invalid, "tail must be from 0 to %d lines", vpn.MostLogLines)
	}
	if q.Level != "" && !q.Level.AtLeast(vpn.LogDebug) {
		var known []string
		for _, l := range vpn.LogLevels() {
			known = append(known, string(l))
		}
		return nil, vpn.Unknown("level", string(q.Level), known)
	}
	from := LogSources{ControlPlane: q.Server == "" || q.Server == vpn.ControlPlane, Servers: s.logging(q.Server)}
	if _, err := from.Servers(ctx); err != nil { // one that there is not
		return nil, err
	}
	return s.Config.Logs.Lines(ctx, from, q)
}

// logging returns what tells which servers' logs are wanted: all of them, or
// one by name or ID.
func (s *SystemInfo) logging(server string) func(context.Context) ([]vpn.Server, error) {
	if server == vpn.ControlPlane {
		return func(context.Context) ([]vpn.Server, error) { return nil, nil }
	}
	return func(ctx context.Context) (out []vpn.Server, err error) {
		err = s.Store.View(ctx, func(tx Tx) error {
			if server == "" {
				out, err = tx.Servers.List()
				return err
			}
			one, err := findServer(tx, server)
			out = []vpn.Server{one}
			return err
		})
		return out, err
	}
}
