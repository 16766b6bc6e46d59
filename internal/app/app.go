// Package app is what the product does: one file per noun, one method per
// thing that a person can ask for, whether by command, by key or by request.
// It decides who may ask (see [Actor]), keeps the store's invariants, and
// tells the [Reconciler], which alone talks to workers about what to run.
//
// It knows no database, no transport and no process: those fill its
// interfaces [Store] and [Workers].
package app
