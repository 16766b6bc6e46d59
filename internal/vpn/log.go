package vpn

import (
	"slices"
	"time"
)

// LogLevel is how much a line of a log weighs.
type LogLevel string

// The levels, the lightest first.
const (
	LogDebug LogLevel = "debug"
	LogInfo  LogLevel = "info"
	LogWarn  LogLevel = "warn"
	LogError LogLevel = "error"
)

// LogLevels returns the levels, the lightest first.
func LogLevels() []LogLevel { return []LogLevel{LogDebug, LogInfo, LogWarn, LogError} }

// AtLeast reports whether l weighs as much as least. What is no level weighs
// nothing.
func (l LogLevel) AtLeast(least LogLevel) bool {
	return slices.Index(LogLevels(), l) >= slices.Index(LogLevels(), least)
}

// Logging is how a worker is to log: what weighs as much as Level at least, as
// "text" or as "json".
type Logging struct {
	Level  LogLevel `json:"level"`
	Format string   `json:"format"`
}

// ControlPlane is the source of the lines that no server's worker has
// written. No server can have that name.
const ControlPlane = "control plane"

// A LogLine is one line of the control plane's log or of a worker's.
type LogLine struct {
	At      time.Time         `json:"at"`
	Level   LogLevel          `json:"level"`
	Source  string            `json:"source" doc:"the server's name, or: control plane"`
	Message string            `json:"message"`
	Fields  map[string]string `json:"fields,omitempty"`
}

// MostLogLines is how many of the last lines of all logs together can be asked
// for.
const MostLogLines = 100_000

// MostServerLogLines is how many of the last lines of one server's log can be
// asked for.
const MostServerLogLines = 1_000_000

// A LogQuery selects lines of all logs.
type LogQuery struct {
	Follow bool      // go on with what is logged from now on
	Tail   int       // begin with so many of the last lines that are selected
	Level  LogLevel  // that weigh as much at least; empty: all
	Server string    // of this server only, by name or ID; [ControlPlane]: of no server
	Since  time.Time // not older
}
