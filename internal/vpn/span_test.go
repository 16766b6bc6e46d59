package vpn_test

import (
	"testing"
	"time"

	"vpn/internal/vpn"
)

func TestParseSpan(t *testing.T) {
	for in, want := range map[string]time.Duration{
		"12h": 12 * time.Hour, "30d": 720 * time.Hour, " 2W ": 336 * time.Hour, "1y": 8760 * time.Hour, "100y": 876000 * time.Hour,
	} {
		got, err := vpn.ParseSpan(in)
		if err != nil || got != want {
			t.Errorf("ParseSpan(%q) = %v, %v; want %v", in, got, err, want)
		}
		if again, err := vpn.ParseSpan(vpn.FormatSpan(got)); err != nil || again != got {
			t.Errorf("%v is written %q, and read again %v, %v", got, vpn.FormatSpan(got), again, err)
		}
	}
	for _, in := range []string{"", "30", "30m", "-1d", "0d", "1.5d", "never", "101y", "9999999y", "99999999d", "2026-12-31", "d"} {
		got, err := vpn.ParseSpan(in)
		if err == nil {
			t.Errorf("ParseSpan(%q) = %v, want an error", in, got)
			continue
		}
		wantInvalid(t, err)
	}
	if got := vpn.FormatSpan(90 * time.Minute); got != "1h30m0s" {
		t.Errorf("90 minutes are %q", got)
	}
}
