package vpn

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// What people write about a user reaches terminals and logs, so it is held to
// what can be printed on one line.

const (
	// MaxTags is how many tags a user may have.
	MaxTags = 20
	maxNote = 500 // characters
)

var (
	validTag   = pattern(`^[a-z0-9][a-z0-9._:@/+-]{0,31}$`)
	emailLocal = pattern("^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*$")
)

// ValidTag returns an [Invalid] error unless tag can group users.
func ValidTag(tag string) error {
	if validTag().MatchString(tag) {
		return nil
	}
	return Errorf(Invalid, "tag %s is not valid", quoted(tag)).
		WithHint("use 1 to 32 of a-z, 0-9 and . _ : @ / + -, starting with a letter or digit")
}

// ValidEmail returns an [Invalid] error unless address is empty or one plain
// address, without a name or a comment.
func ValidEmail(address string) error {
	if address == "" {
		return nil
	}
	at := strings.LastIndexByte(address, '@')
	if at > 0 && at <= 64 && emailLocal().MatchString(address[:at]) && ValidDomain(address[at+1:]) == nil {
		return nil
	}
	return Errorf(Invalid, "e-mail address %s is not valid", quoted(address)).WithHint("write it like alice@example.org")
}

// ValidNote returns an [Invalid] error unless note is one line of at most 500
// characters that all can be seen.
func ValidNote(note string) error {
	switch {
	case utf8.RuneCountInString(note) > maxNote:
		return Errorf(Invalid, "the note is too long").WithHint("it may have %d characters", maxNote)
	case !utf8.ValidString(note) || strings.ContainsFunc(note, func(r rune) bool { return !unicode.IsPrint(r) }):
		return Errorf(Invalid, "the note %s holds what cannot be seen", quoted(note)).WithHint("write it in one line of plain text")
	}
	return nil
}

// mostSearch is how many characters a word may have that users are looked for
// by; the API says the same.
const mostSearch = 100

// ValidSearch returns an [Invalid] error if a word is longer than what users
// can be looked for by.
func ValidSearch(word string) error {
	if utf8.RuneCountInString(word) > mostSearch {
		return Errorf(Invalid, "the word is too long").WithHint("it may have %d characters", mostSearch)
	}
	return nil
}

// Meets reports whether a user who is in that state now is one of those that
// f selects among the living.
func (f UserFilter) Meets(u User, status UserStatus) bool {
	switch f.Status {
	case "", status:
	case Throttled:
		if status != Limited || u.Limits.Throttle == 0 {
			return false
		}
	default:
		return false
	}
	has := make(map[string]bool, len(u.Tags))
	for _, t := range u.Tags {
		has[t] = true
	}
	for _, t := range f.Tags {
		if !has[t] {
			return false
		}
	}
	if f.Search == "" {
		return true
	}
	word := strings.ToLower(f.Search)
	for _, text := range append([]string{u.Name, u.Email, u.Note}, u.Tags...) {
		if strings.Contains(strings.ToLower(text), word) {
			return true
		}
	}
	return false
}
