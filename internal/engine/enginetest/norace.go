//go:build !race

package enginetest

const (
	// Raced says that the race detector is there, which makes everything
	// several times as slow.
	Raced = false

	// topSpeed is the highest rate that is measured, in bytes per second.
	topSpeed = 4 * mib
)
