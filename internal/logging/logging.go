// Package logging makes the logger that everything else is given. Secrets
// hide themselves (see vpn.Secret); what slips past that, in the text of an
// error or of somebody else's library, is masked here. The package opens no
// file and keeps no global logger.
package logging

import (
	"bytes"
	"io"
	"log/slog"
	"regexp"
	"sync"

	"vpn/internal/vpn"
)

// Options say how to log.
type Options struct {
	Level  slog.Leveler // nil: info
	Format string       // "text", which is the default, or "json"
}

// New returns a logger that writes lines to w, with times in UTC and all
// secrets masked. An unknown format is an error of kind [vpn.Invalid]. The
// logger may be used concurrently; each line is one Write to w.
func New(w io.Writer, o Options) (*slog.Logger, error) {
	options := &slog.HandlerOptions{Level: o.Level, ReplaceAttr: inUTC}
	switch o.Format {
	case "", "text":
		return slog.New(slog.NewTextHandler(Mask(w), options)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(Mask(w), options)), nil
	}
	return nil, vpn.Unknown("log format", o.Format, []string{"text", "json"})
}

func inUTC(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && a.Key == slog.TimeKey && a.Value.Kind() == slog.KindTime {
		a.Value = slog.TimeValue(a.Value.Time().UTC())
	}
	return a
}

// Mask returns a writer that masks secrets in what it passes on to w. Each
// Write has to be a whole line or more: what is cut in two is not recognised.
//
// The mask lies under the log's encoding and not over its attributes, so
// that no type of attribute, group or wrapped error can get around it.
func Mask(w io.Writer) io.Writer { return mask{w} }

type mask struct{ to io.Writer }

func (m mask) Write(p []byte) (int, error) {
	if _, err := m.to.Write(masked(p)); err != nil {
		return 0, err
	}
	return len(p), nil
}

// secrets are patterns of what must not be seen, and what is seen instead.
// None reaches over a quote or a backslash, so that JSON stays JSON. A line
// with less than times of needs (in lower case) has no match: most lines are
// spared the patterns by that, which would cost more than all else of a line;
// and most processes never write one for which they have to be compiled.
var secrets = []struct {
	needs   string
	times   int
	pattern func() *regexp.Regexp
	instead string
}{
	// Share links.
	{"://", 1, pattern(`(?i)\b(vless|vmess|trojan|ss|ssconf|hysteria2|wireguard)://[^\s"'<>\\]+`), "$1://[secret]"},
	// User and password in any other URL.
	{"://", 1, pattern(`(?i)\b([a-z][a-z0-9+.-]*://)[^\s"'<>\\/?#@]+@`), "$1[secret]@"},
	// UUIDs let VLESS users in, and nothing of ours is named by one.
	{"-", 4, pattern(`(?i)[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`), "[secret]"},
	// Authorization headers.
	{"bearer", 1, pattern(`(?i)\b(bearer\s+)[a-z0-9._~+/-]{8,}=*`), "${1}[secret]"},
	{"authorization", 1, pattern(`(?i)\b(authorization\\*["']?\s*[:=][\s\\"'\[]*(?:basic\s+)?)[a-z0-9._~+/-]{8,}=*`), "${1}[secret]"},
	// Keys in JSON (which may itself be quoted in JSON), in YAML and the like.
	{"key", 1, pattern(`(?i)((?:private|preshared|secret|self)_?key\\*["']?\s*[:=]\s*\\*["']?)[a-z0-9+/_-]{16,}=*`), "${1}[secret]"},
	// PEM, with its line breaks as they are or as \n, and cut off or not.
	{"private key-----", 1, pattern(`-----BEGIN [A-Z ]*PRIVATE KEY-----(?:[A-Za-z0-9+/=]|\\+[nr]|[\r\n]+[A-Za-z0-9+/=])*` +
		`(?:(?:\\+[nr]|[\r\n])*-----END [A-Z ]*PRIVATE KEY-----)?`), "[secret]"},
}

func masked(p []byte) []byte {
	lower := bytes.ToLower(p)
	for _, s := range secrets {
		if bytes.Count(lower, []byte(s.needs)) >= s.times {
			p = s.pattern().ReplaceAll(p, []byte(s.instead))
		}
	}
	return p
}

// pattern returns what compiles a regular expression when it is first needed.
func pattern(text string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(text) })
}
