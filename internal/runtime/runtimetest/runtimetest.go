// Package runtimetest says what a runtime, an implementation of
// [app.Workers], promises, and tests it over real processes: the test binary
// itself becomes the worker, around an engine that echoes, and the control
// plane that is killed in the middle of something.
//
// A runtime's own test has a TestMain that calls [Main] and a test that calls
// [Run]. The package is for tests only.
package runtimetest

import (
	"time"

	"vpn/internal/app"
	"vpn/internal/vpn"
)

// Open returns the runtime of a store: one directory is one store. It is
// called in several processes, one after the other, for the same directory;
// the directory exists.
type Open func(dir string) (app.Workers, error)

// A Kind is a runtime, and in what it may differ from others.
type Kind struct {
	Open      Open
	Runtime   string         // as [vpn.Server.Runtime]
	Container *vpn.Container // of the servers

	// Revives says that whoever runs the workers starts one anew that has
	// ended by itself. Nobody does so with one that was stopped or killed by
	// the runtime.
	Revives bool

	// Noticed bounds the time from the end of a worker until it is seen.
	Noticed time.Duration

	// A control plane is killed so often at some moment within the window
	// after it has begun to start a worker.
	Kills  int
	Window time.Duration
}

// Processes is the kind of a runtime that runs processes.
func Processes(open Open) Kind {
	return Kind{
		Open: open, Runtime: vpn.RuntimeProcess, Noticed: 100 * time.Millisecond,
		Kills: 50, Window: 20 * time.Millisecond,
	}
}
