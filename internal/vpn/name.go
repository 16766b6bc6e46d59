package vpn

import (
	"strconv"
)

var validName = pattern(`^[a-z0-9][a-z0-9._@-]{0,62}$`)

// ValidName returns an [Invalid] error unless name can name a user or a
// server. Names reach file names, links and logs, so the set is small.
func ValidName(name string) error {
	if validName().MatchString(name) {
		return nil
	}
	return Errorf(Invalid, "name %s is not valid", quoted(name)).
		WithHint("use 1 to 63 of a-z, 0-9, dot, dash, underscore and @, starting with a letter or digit")
}

// quoted returns s as a message may show it: on one line, and not for ever.
func quoted(s string) string {
	const most = 64
	n := 0
	for i := range s {
		if n == most {
			return strconv.Quote(s[:i] + "…")
		}
		n++
	}
	return strconv.Quote(s)
}
