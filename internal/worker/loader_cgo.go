//go:build linux && cgo

package worker

// sharedLibraries is what the dynamic loader needs. The product is static;
// test binaries are not.
var sharedLibraries = []string{"/lib", "/lib64", "/usr/lib", "/usr/lib64", "/etc/ld.so.cache"}
