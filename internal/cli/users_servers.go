package cli

import (
	"github.com/spf13/pflag"

	"vpn/internal/vpn"
)

// allowFlags name the servers that let a user in.
type allowFlags struct{ names []string }

func (f *allowFlags) add(fs *pflag.FlagSet, usage string) {
	fs.StringSliceVar(&f.names, "server", nil, usage)
}

// given returns the servers that were named, or nil if the flag was not given.
// The word none is no server at all.
func (f *allowFlags) given(fs *pflag.FlagSet) *[]string {
	switch {
	case !fs.Changed("server"):
		return nil
	case len(f.names) == 1 && f.names[0] == "none":
		return &[]string{}
	}
	return &f.names
}

// allowedCell says whether a server lets a user in.
func allowedCell(s vpn.UserServer) string {
	if s.Allowed {
		return "yes"
	}
	return "no"
}
