package vpn_test

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"unicode/utf8"

	"vpn/internal/vpn"
)

// wantInvalid fails unless err is what a person gets for bad input: one line
// that is not endless, and a hint.
func wantInvalid(t *testing.T, err error) {
	t.Helper()
	e, ok := errors.AsType[*vpn.Error](err)
	switch {
	case !ok || e.Kind != vpn.Invalid:
		t.Errorf("%v is of kind %v, want invalid", err, vpn.KindOf(err))
	case e.Hint == "":
		t.Errorf("%v has no hint", err)
	case strings.ContainsFunc(e.Message, func(r rune) bool { return r < ' ' || r == 0x7f }):
		t.Errorf("%q holds control characters", e.Message)
	case len(e.Message) > 1000 || !utf8.ValidString(e.Message):
		t.Errorf("%q is too long or no UTF-8", e.Message)
	}
}

func TestErrorf(t *testing.T) {
	err := vpn.Errorf(vpn.Unavailable, "open %s: %w", "the database", fs.ErrPermission)
	if got, want := err.Error(), "open the database: permission denied"; got != want {
		t.Errorf("message is %q, want %q", got, want)
	}
	if !errors.Is(err, fs.ErrPermission) {
		t.Error("the cause is lost")
	}
	if vpn.Errorf(vpn.Invalid, "no").Unwrap() != nil {
		t.Error("a cause out of nothing")
	}
}

func TestWithHint(t *testing.T) {
	plain := vpn.Errorf(vpn.Invalid, "no")
	hinted := plain.WithHint("try %d", 2)
	if plain.Hint != "" || hinted.Hint != "try 2" || hinted.Kind != vpn.Invalid || hinted.Message != "no" {
		t.Errorf("plain %+v, hinted %+v", plain, hinted)
	}
	withHint := plain.WithHint // by another name, for vet would object
	if got := withHint("100% sure").Hint; got != "100% sure" {
		t.Errorf("a hint without arguments was formatted: %q", got)
	}
}

func TestKindOf(t *testing.T) {
	denied := vpn.Errorf(vpn.Denied, "no")
	for _, c := range []struct {
		err  error
		want vpn.Kind
	}{
		{denied, vpn.Denied},
		{fmt.Errorf("ask: %w", denied), vpn.Denied},
		{errors.Join(fs.ErrExist, denied), vpn.Denied},
		{vpn.Errorf(vpn.Conflict, "store: %w", denied), vpn.Conflict},
		{fs.ErrExist, vpn.Internal},
		{nil, vpn.Internal},
	} {
		if got := vpn.KindOf(c.err); got != c.want {
			t.Errorf("KindOf(%v) = %v, want %v", c.err, got, c.want)
		}
	}
}

func TestUnknown(t *testing.T) {
	known := []string{"server_names", "short_ids", "target", "qq"}
	for _, c := range []struct{ word, hint string }{
		{"server_name", "did you mean server_names?"},
		{"servernames", "did you mean server_names?"},
		{"TARGET", "did you mean target?"},
		{"tarteg", "did you mean target?"},
		{"short_id", "did you mean short_ids?"},
		{"xyz", "there is: server_names, short_ids, target, qq"},
		{"", "there is: server_names, short_ids, target, qq"},
		{strings.Repeat("target", 100), "there is: server_names, short_ids, target, qq"},
	} {
		err := vpn.Unknown("setting", c.word, known)
		if err.Hint != c.hint {
			t.Errorf("%s: hint is %q, want %q", err, err.Hint, c.hint)
		}
		wantInvalid(t, err)
	}
	if got := vpn.Unknown("key", "a\nb", known).Error(); got != `unknown key "a\nb"` {
		t.Errorf("message is %s", got)
	}
}
