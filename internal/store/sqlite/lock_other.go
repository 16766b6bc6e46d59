//go:build !unix

package sqlite

import (
	"errors"
	"os"
	"runtime"

	"vpn/internal/vpn"
)

// tryLock fails: no data directory is used on this system.
func tryLock(*os.File) error {
	return vpn.Errorf(vpn.Unavailable, "a data directory cannot be locked on %s", runtime.GOOS)
}

func duplicate(*os.File) (*os.File, error) { return nil, errors.ErrUnsupported }
