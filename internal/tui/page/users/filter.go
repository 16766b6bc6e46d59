package users

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"vpn/internal/vpn"
)

// A filter selects users who meet all of its terms. Its zero value selects
// all.
type filter struct{ terms []term }

// A term is one word of a filter. words is what of a user a bare word is
// looked for in.
type term struct {
	not   bool
	match func(u *vpn.UserInfo, words string) bool
}

func (f filter) match(u *vpn.UserInfo, words string) bool {
	for i := range f.terms {
		if f.terms[i].match(u, words) == f.terms[i].not {
			return false
		}
	}
	return true
}

// wordsOf is what of a user is searched: its name, and what was written about
// it.
func wordsOf(u *vpn.UserInfo) string {
	if u.Email == "" && u.Note == "" && len(u.Tags) == 0 {
		return u.Name // a name has no capitals
	}
	return strings.ToLower(u.Name + "\n" + u.Email + "\n" + u.Note + "\n" + strings.Join(u.Tags, "\n"))
}

// filterHelp is the language in one line.
const filterHelp = "words, is:expired, proto:wireguard, server:main, quota:>90, expires:<7d, tag:x, !not"

// parseFilter reads what is written after /: words, which are found in a name,
// an e-mail address, a note or a tag in any letter case, and qualifiers. All
// have to be met; ! before one turns it round. Times are seen from now. Errors
// are of kind [vpn.Invalid].
func parseFilter(text string, servers []vpn.ServerInfo, now time.Time) (filter, error) {
	var f filter
	for word := range strings.FieldsSeq(strings.ToLower(text)) {
		rest, not := strings.CutPrefix(word, "!")
		if rest == "" {
			return filter{}, vpn.Errorf(vpn.Invalid, "! is before what is not wanted").WithHint("write it like !alice or !is:active")
		}
		match, err := parseTerm(rest, servers, now)
		if err != nil {
			return filter{}, err
		}
		f.terms = append(f.terms, term{not, match})
	}
	return f, nil
}

type matcher = func(u *vpn.UserInfo, words string) bool

func parseTerm(word string, servers []vpn.ServerInfo, now time.Time) (matcher, error) {
	qualifier, value, ok := strings.Cut(word, ":")
	if !ok {
		return func(_ *vpn.UserInfo, words string) bool { return strings.Contains(words, word) }, nil
	}
	switch qualifier {
	case "is":
		return parseIs(value)
	case "proto":
		return parseProtocol(value, servers)
	case "server":
		return parseServer(value, servers)
	case "quota":
		return parseQuota(value)
	case "expires":
		return parseExpires(value, now)
	case "tag":
		if value == "" {
			return nil, vpn.Errorf(vpn.Invalid, "tag: which one?")
		}
		return func(u *vpn.UserInfo, _ string) bool { return slices.Contains(u.Tags, value) }, nil
	}
	return nil, vpn.Unknown("qualifier", qualifier+":", []string{"is:", "proto:", "server:", "quota:", "expires:", "tag:"})
}

// states are the words of is:, with what they say.
var states = []struct {
	word string
	is   func(u *vpn.UserInfo) bool
}{
	{"active", isStatus(vpn.Active)},
	{"on_hold", isStatus(vpn.OnHold)},
	{"limited", isStatus(vpn.Limited)},
	{"throttled", isThrottled},
	{"expired", isStatus(vpn.Expired)},
	{"disabled", isStatus(vpn.Disabled)},
	{"online", func(u *vpn.UserInfo) bool { return u.Online > 0 }},
	{"offline", func(u *vpn.UserInfo) bool { return u.Online == 0 }},
}

func isStatus(s vpn.UserStatus) func(*vpn.UserInfo) bool {
	return func(u *vpn.UserInfo) bool { return u.Status == s }
}

// isThrottled is what the list calls a user who is slowed down beyond the
// quota; the API's word is limited, which finds these users too.
func isThrottled(u *vpn.UserInfo) bool { return u.Status == vpn.Limited && u.Limits.Throttle > 0 }

// parseIs takes the beginning of a word; of several that begin so, any will do.
func parseIs(value string) (matcher, error) {
	words := make([]string, 0, len(states))
	var any []func(*vpn.UserInfo) bool
	for _, s := range states {
		words = append(words, s.word)
		if strings.HasPrefix(s.word, strings.ReplaceAll(value, "-", "_")) && value != "" {
			any = append(any, s.is)
		}
	}
	switch {
	case value == "":
		return nil, vpn.Errorf(vpn.Invalid, "is: what? %s", strings.Join(words, ", "))
	case len(any) == 0:
		return nil, vpn.Unknown("status", value, words)
	}
	return func(u *vpn.UserInfo, _ string) bool {
		for _, is := range any {
			if is(u) {
				return true
			}
		}
		return false
	}, nil
}

// protocolShort is what people call protocols whose names they do not write
// out.
var protocolShort = map[string]string{"wg": "wireguard", "ss": "shadowsocks", "outline": "shadowsocks", "reality": "vless"}

func parseProtocol(value string, servers []vpn.ServerInfo) (matcher, error) {
	if long, ok := protocolShort[value]; ok {
		value = long
	}
	return parsePart("proto", "protocol", value, servers, func(s vpn.ServerInfo) string { return string(s.Protocol) })
}

func parseServer(value string, servers []vpn.ServerInfo) (matcher, error) {
	for _, s := range servers { // main, not main2
		if s.Name == value {
			return letsIn([]vpn.ServerID{s.ID}), nil
		}
	}
	return parsePart("server", "server", value, servers, func(s vpn.ServerInfo) string { return s.Name })
}

// parsePart finds the servers of which something begins with value.
func parsePart(qualifier, what, value string, servers []vpn.ServerInfo, of func(vpn.ServerInfo) string) (matcher, error) {
	var ids []vpn.ServerID
	var known []string
	for _, s := range servers {
		if !slices.Contains(known, of(s)) {
			known = append(known, of(s))
		}
		if value != "" && strings.HasPrefix(of(s), value) {
			ids = append(ids, s.ID)
		}
	}
	switch {
	case len(known) == 0:
		return nil, vpn.Errorf(vpn.Invalid, "%s: there is no server yet", qualifier)
	case value == "":
		return nil, vpn.Errorf(vpn.Invalid, "%s: which? %s", qualifier, strings.Join(known, ", "))
	case len(ids) == 0:
		return nil, vpn.Unknown(what, value, known)
	}
	return letsIn(ids), nil
}

// letsIn selects the users whom one of some servers lets in.
func letsIn(ids []vpn.ServerID) matcher {
	return func(u *vpn.UserInfo, _ string) bool {
		return u.AllowedServers == nil || slices.ContainsFunc(ids, u.MayUse)
	}
}

// comparison splits "<=7d" into what compares and with what.
func comparison(value string) (compare, rest string) {
	for _, c := range []string{"<=", ">=", "<", ">", "="} {
		if rest, ok := strings.CutPrefix(value, c); ok {
			return c, rest
		}
	}
	return "=", value
}

// parseQuota compares how much of a quota is used, in percent. Who has no
// quota is none of them, but for none.
func parseQuota(value string) (matcher, error) {
	if value == "none" {
		return func(u *vpn.UserInfo, _ string) bool { return u.Limits.Quota == 0 }, nil
	}
	compare, number := comparison(value)
	percent, err := strconv.ParseUint(strings.TrimSuffix(number, "%"), 10, 16)
	if err != nil {
		return nil, vpn.Errorf(vpn.Invalid, "quota: is percent used, like quota:>90, or none")
	}
	want := float64(percent)
	return func(u *vpn.UserInfo, _ string) bool {
		if u.Limits.Quota == 0 {
			return false
		}
		used := part(u) * 100
		switch compare {
		case "<":
			return used < want
		case "<=":
			return used <= want
		case ">":
			return used > want
		case ">=":
			return used >= want
		}
		return used >= want && used < want+1
	}, nil
}

// part is how much of the quota is used; 0 without one.
func part(u *vpn.UserInfo) float64 {
	if u.Limits.Quota == 0 {
		return 0
	}
	return float64(u.Used.Total()) / float64(u.Limits.Quota)
}

// parseExpires compares an end that is yet to come with a moment.
func parseExpires(value string, now time.Time) (matcher, error) {
	if value == "never" {
		return func(u *vpn.UserInfo, _ string) bool { return u.ExpiresAt.IsZero() && !u.Holds() }, nil
	}
	compare, when := comparison(value)
	at, err := vpn.ParseWhen(strings.ToUpper(when), now)
	if err != nil || at.IsZero() || compare == "=" {
		return nil, vpn.Errorf(vpn.Invalid, "expires: is like expires:<7d, expires:>2w, expires:<%s, or never", fmt.Sprintf("%d-12-31", now.Year()))
	}
	before := compare == "<" || compare == "<="
	return func(u *vpn.UserInfo, _ string) bool {
		return u.ExpiresAt.After(now) && u.ExpiresAt.Before(at) == before
	}, nil
}
