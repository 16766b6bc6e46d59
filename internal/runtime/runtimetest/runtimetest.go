// Package runtimetest says what a runtime, an implementation of
// [app.Workers], promises, and tests it over real processes: the test binary
// itself becomes the worker, around an engine that echoes, and the control
// plane that is killed in the middle of something.
//
// A runtime's own test has a TestMain that calls [Main] and a test that calls
// [Run]. The package is for tests only.
package runtimetest

import (
	"vpn/internal/app"
)

// Open returns the runtime of a store: one directory is one store. It is
// called in several processes, one after the other, for the same directory;
// the directory exists.
type Open func(dir string) (app.Workers, error)
