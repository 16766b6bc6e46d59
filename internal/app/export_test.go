package app

import "context"

// For tests: the turn of one user's period; what happens every second, and
// every ten.
var Turn = turn

func Sample(ctx context.Context, r *Reconciler)       { r.sample(ctx) }
func Commit(ctx context.Context, r *Reconciler) error { return r.books.commit(ctx) }
