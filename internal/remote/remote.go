// Package remote brings requests to the daemon of another machine: through the
// ssh program of this one, which knows its user's keys and hosts, and "vpn
// dial-stdio" that ssh starts over there. One login carries any number of
// requests beside each other, as HTTP/2 (RFC 9113).
//
// It does not know what is asked, keeps no key and no password, and trusts
// nobody by itself: who may do what is for ssh, and for the daemon's socket
// over there.
package remote

import (
	"net"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"vpn/internal/vpn"
)

// Command is what ssh starts on the other machine.
const Command = "dial-stdio"

const scheme = "ssh://"

// Place is where a daemon runs.
type Place struct {
	User, Host, Port string // of ssh; User and Port may be empty: ssh knows its own
	Socket           string // the path of the daemon's; empty: that of the usual installation
}

// Is reports whether text means a place, and not a path of this machine.
func Is(text string) bool { return strings.HasPrefix(text, scheme) }

// Parse reads ssh://[USER@]HOST[:PORT][/SOCKET].
func Parse(text string) (Place, error) {
	wrong := func(why string) (Place, error) {
		return Place{}, vpn.Errorf(vpn.Invalid, "%q names no other machine: %s", text, why).WithHint("as in: ssh://root@HOST, or ssh://root@HOST:2222/run/vpn/api.sock")
	}
	u, err := url.Parse(text)
	if err != nil || !Is(text) {
		return wrong("it is not ssh://[USER@]HOST[:PORT][/SOCKET]")
	}
	p := Place{User: u.User.Username(), Host: u.Hostname(), Port: u.Port()}
	if u.Path != "/" {
		p.Socket = u.Path
	}
	_, secret := u.User.Password()
	switch {
	case secret:
		return Place{}, vpn.Errorf(vpn.Invalid, "a password has no place in the name of a machine").
			WithHint("others see it there; ssh asks for one, or knows a key")
	case p.Host == "":
		return wrong("it has no host")
	case strings.HasPrefix(p.Host, "-") || strings.HasPrefix(p.User, "-"):
		return wrong("ssh would take it for a flag")
	case strings.ContainsFunc(p.Host, steers) || strings.ContainsAny(p.Host, "/\\"):
		return wrong("no host is called so")
	case strings.ContainsFunc(p.User, steers) || strings.Contains(p.User, "/"):
		return wrong("no user is called so")
	case strings.ContainsFunc(p.Socket, unicode.IsControl) || !utf8.ValidString(p.Socket):
		return wrong("no socket is called so")
	case u.RawQuery != "" || u.Fragment != "":
		return wrong("nothing follows the path of the socket")
	}
	return p, nil
}

// steers reports whether r could mean something to a shell. ssh puts the names
// of users and hosts into commands of its configuration (ProxyCommand, Match
// exec), as they are if it is older than 9.6: CVE-2023-51385.
func steers(r rune) bool {
	return !unicode.IsPrint(r) || strings.ContainsRune(" '`\"$;&<>|(){}[]*?!#~^,=", r)
}

// String returns the place as [Parse] reads it.
func (p Place) String() string {
	u := url.URL{Scheme: "ssh", Host: p.Host, Path: p.Socket}
	switch {
	case p.Port != "":
		u.Host = net.JoinHostPort(p.Host, p.Port)
	case strings.Contains(p.Host, ":"):
		u.Host = "[" + p.Host + "]"
	}
	if p.User != "" {
		u.User = url.User(p.User)
	}
	return u.String()
}

// destination is what ssh calls the machine.
func (p Place) destination() string {
	if p.User == "" {
		return p.Host
	}
	return p.User + "@" + p.Host
}

// args are ssh's. It asks nothing unless it may; what its configuration
// forwards or starts for whoever logs in to work there is not, the keys of an
// agent least of all, and a machine that has gone is noticed.
func (p Place) args(ask bool) []string {
	args := []string{
		"-T", "-a", "-x", "-o", "ClearAllForwardings=yes", "-o", "RemoteCommand=none",
		"-o", "ConnectTimeout=20", "-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=3",
	}
	if !ask {
		args = append(args, "-o", "BatchMode=yes")
	}
	if p.Port != "" {
		args = append(args, "-p", p.Port)
	}
	command := "vpn " + Command
	if p.Socket != "" {
		command = "vpn --socket " + quoted(p.Socket) + " " + Command
	}
	return append(args, "--", p.destination(), command)
}

// quoted is text, which has no control characters, as one word of any shell
// that somebody may log in to: a backslash before a sign means the sign in all
// of them, while quotes are read differently by fish.
func quoted(text string) string {
	var b strings.Builder
	for _, r := range text {
		if r < utf8.RuneSelf && !strings.ContainsRune("/._-", r) && !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}
