package app

import (
	"context"

	"vpn/internal/vpn"
)

// An Actor is who asks. Whoever can open the control plane's socket
// administers it, so there is one sort of actor, and its name goes into the
// audit log.
type Actor struct{ Name string }

// System is the product itself, acting on nobody's behalf.
func System() Actor { return Actor{Name: "system"} }

type actorKey struct{}

// WithActor returns a context in which a asks. A transport calls it once it
// knows who is at the other end; nothing else travels in a context.
func WithActor(ctx context.Context, a Actor) context.Context {
	return context.WithValue(ctx, actorKey{}, a)
}

// authorize returns the actor of ctx. Without an actor nothing is allowed.
func authorize(ctx context.Context, action string) (Actor, error) {
	a, ok := ctx.Value(actorKey{}).(Actor)
	if !ok || a.Name == "" {
		return Actor{}, vpn.Errorf(vpn.Denied, "%s: not allowed", action)
	}
	return a, nil
}
