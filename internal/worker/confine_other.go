//go:build !linux

package worker

import (
	"log/slog"
	"time"
)

// Workers run on Linux. Elsewhere the package is there for its client.

func claim(int) error { return nil }

func confine(*slog.Logger) (bool, error) { return false, nil }

func processorTime() time.Duration { return 0 }

func residentMemory() func() uint64 { return func() uint64 { return 0 } }
