// Package arch has no code: its tests hold the architecture still. They read
// the sources themselves; see arch_test.go for the rules.
package arch
