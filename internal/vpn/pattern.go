package vpn

import (
	"regexp"
	"sync"
)

// pattern returns what compiles a regular expression when it is first needed.
// Every process holds all of this package, a worker too, and few need any of
// them: to compile them all took a process 0.3 ms and 280 KB.
func pattern(text string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(text) })
}
