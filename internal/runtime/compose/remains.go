package compose

import (
	"context"

	"vpn/internal/app"
	"vpn/internal/vpn"
	"vpn/internal/worker"
)

// Remains returns what workers of the server's container counted until their
// ends in order.
func (w *Workers) Remains(_ context.Context, at app.Place) ([]vpn.Counters, error) {
	return worker.Finals(w.options.Paths(at.Server).State)
}

// Discard removes the counters of the epochs. What else there is belongs to
// the container, which is not this package's to remove.
func (w *Workers) Discard(_ context.Context, at app.Place, epochs ...string) error {
	return worker.DiscardFinals(w.options.Paths(at.Server).State, epochs...)
}

// Beside returns workers with what a project's containers have left added to
// what they have left themselves: so that nothing that was counted is lost
// when another runtime takes over.
func Beside(workers app.Workers, o Options) app.Workers { return beside{workers, New(o)} }

type beside struct {
	app.Workers
	project *Workers
}

func (b beside) Remains(ctx context.Context, at app.Place) ([]vpn.Counters, error) {
	own, err := b.Workers.Remains(ctx, at)
	if err != nil {
		return nil, err
	}
	left, err := b.project.Remains(ctx, at)
	return append(own, left...), err
}

func (b beside) Discard(ctx context.Context, at app.Place, epochs ...string) error {
	if err := b.project.Discard(ctx, at, epochs...); err != nil {
		return err
	}
	return b.Workers.Discard(ctx, at, epochs...)
}
