package vpn

import (
	"errors"
	"fmt"
)

// Kind says what sort of failure an error is. Each face maps it once: the API
// to a status, the command line to an exit code.
type Kind string

// The kinds of failure. Every error that is not an *[Error] is Internal.
const (
	Invalid     Kind = "invalid"     // the caller asked for something that cannot be
	NotFound    Kind = "not_found"   // there is no such thing
	Conflict    Kind = "conflict"    // it exists already, or something else is in its place
	Denied      Kind = "denied"      // the caller may not
	Unavailable Kind = "unavailable" // the daemon, a worker or the disk cannot do it now
	Internal    Kind = "internal"    // a bug or a broken machine
)

// Error is a failure that its reader can act on.
type Error struct {
	Kind    Kind
	Message string // for a person: no capital, no full stop
	Hint    string // the next thing to try, if one is known
	Err     error  // the cause: for the log, never for the network
}

func (e *Error) Error() string { return e.Message }
func (e *Error) Unwrap() error { return e.Err }

// Errorf returns an *[Error] of kind k. A %w verb sets its cause.
func Errorf(k Kind, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Kind: k, Message: err.Error(), Err: errors.Unwrap(err)}
}

// WithHint returns a copy of e that tells its reader what to try next.
func (e *Error) WithHint(format string, args ...any) *Error {
	c := *e
	c.Hint = format
	if len(args) > 0 {
		c.Hint = fmt.Sprintf(format, args...)
	}
	return &c
}

// KindOf returns the kind of the first *[Error] in the chain of err.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return Internal
}

// HintOf returns the hint of the first *[Error] in the chain of err, if it has
// one.
func HintOf(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Hint
	}
	return ""
}
