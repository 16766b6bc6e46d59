//go:build linux && !cgo

package worker

// sharedLibraries is empty: a static binary loads none.
var sharedLibraries = []string{}
