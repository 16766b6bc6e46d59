//go:build !linux

package selfupdate

import (
	"io/fs"
	"os"
)

// There is no daemon here whose privileges a program would need.

func copyOwner(fs.FileInfo, *os.File) error { return nil }

func copyCapabilities(_, _ string) error { return nil }
