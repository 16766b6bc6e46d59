package worker

import (
	"context"
	"log/slog"
	"time"

	"vpn/internal/engine/egress"
)

const addressPeriod = 30 * time.Second

// watchAddresses keeps the guard informed of this host's own addresses, which
// come and go under a running worker, until ctx ends.
func watchAddresses(ctx context.Context, g *egress.Guard, log *slog.Logger) {
	t := time.NewTicker(addressPeriod)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			noteAddresses(g, log)
		}
	}
}

// noteAddresses tells the guard which addresses this host has now. If that
// cannot be read, what it knew still holds.
func noteAddresses(g *egress.Guard, log *slog.Logger) {
	addrs, err := egress.HostAddrs()
	if err != nil {
		log.Warn("addresses of this host could not be read", slog.Any("err", err))
		return
	}
	g.SetHost(addrs)
}
