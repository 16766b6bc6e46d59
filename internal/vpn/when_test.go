package vpn_test

import (
	"encoding/json"
	"testing"
	"time"

	"vpn/internal/vpn"
)

// now has a zone and a fraction, which must not reach results.
var now = time.Date(2026, 11, 24, 3, 0, 0, 5e8, time.FixedZone("", 2*3600))

func TestParseWhen(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"12h", "2026-11-24T13:00:00Z"},
		{"30d", "2026-12-24T01:00:00Z"},
		{"30D", "2026-12-24T01:00:00Z"},
		{" 2w ", "2026-12-08T01:00:00Z"},
		{"1y", "2027-11-24T01:00:00Z"},
		{"1000000h", "2140-12-22T17:00:00Z"},
		{"2026-11-24", "2026-11-25T00:00:00Z"}, // today: until its end
		{"2026-12-31", "2027-01-01T00:00:00Z"},
		{"2028-02-29", "2028-03-01T00:00:00Z"},
		{"2026-12-31T15:00", "2026-12-31T15:00:00Z"},
		{"2026-12-31 15:00", "2026-12-31T15:00:00Z"},
		{"2026-12-31T15:00:30", "2026-12-31T15:00:30Z"},
		{"2026-12-31T15:00:30.75Z", "2026-12-31T15:00:30Z"},
		{"2026-12-31T15:00:00+03:00", "2026-12-31T12:00:00Z"},
	} {
		got, err := vpn.ParseWhen(c.in, now)
		if err != nil || got.Format(time.RFC3339Nano) != c.want || got.Location() != time.UTC {
			t.Errorf("ParseWhen(%q) = %v, %v; want %s", c.in, got, err, c.want)
		}
	}
	if got, err := vpn.ParseWhen("Never", now); err != nil || !got.IsZero() {
		t.Errorf("ParseWhen(Never) = %v, %v; want the zero time", got, err)
	}
}

func TestParseWhenRefuses(t *testing.T) {
	for _, in := range []string{
		"", "soon", "d", "-1d", "1.5d", "1m", "1mo", "30 d", "30d12h", "tomorrow", "31.12.2026", "12/31/2026",
		"2026-02-30", "2026-13-01", "2026-12-31T25:00", "26-12-31", "2026-12-31Z",
		"0d", "0h", "2026-11-23", "2026-11-24T01:00", "2026-11-24T03:00:00+02:00", "1999-01-01", "0001-01-01T00:00:00Z",
		"9000y", "9999999y", "9999-12-31", "99999999d",
	} {
		got, err := vpn.ParseWhen(in, now)
		if err == nil {
			t.Errorf("ParseWhen(%q) = %v, want an error", in, got)
			continue
		}
		wantInvalid(t, err)
	}
}

func FuzzParseWhen(f *testing.F) {
	for _, s := range []string{"30d", "never", "2026-12-31", "2026-12-31T15:00", "2026-12-31T15:00:00+14:00", "9999999h"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := vpn.ParseWhen(s, now)
		if err != nil {
			wantInvalid(t, err)
			return
		}
		if got.IsZero() {
			return
		}
		if !got.After(now) || got.Location() != time.UTC || got.Nanosecond() != 0 {
			t.Errorf("ParseWhen(%q) = %v", s, got)
		}
		if _, err := json.Marshal(got); err != nil {
			t.Errorf("ParseWhen(%q) = %v, which JSON cannot carry: %v", s, got, err)
		}
		again, err := vpn.ParseWhen(got.Format(time.RFC3339), now)
		if err != nil || !again.Equal(got) {
			t.Errorf("ParseWhen(%q) = %v, and read again %v, %v", s, got, again, err)
		}
	})
}

func TestParseSince(t *testing.T) {
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	for in, want := range map[string]time.Time{
		"90s":                       now.Add(-90 * time.Second),
		"30m":                       now.Add(-30 * time.Minute),
		"24h":                       now.AddDate(0, 0, -1),
		" 7D ":                      now.AddDate(0, 0, -7),
		"2w":                        now.AddDate(0, 0, -14),
		"1y":                        now.AddDate(-1, 0, 0),
		"2026-11-28":                now.Add(-12 * time.Hour),
		"2026-11-28T11:00":          now.Add(-time.Hour),
		"2026-11-28T12:00+01:00":    {},
		"2026-11-28T12:00:00+01:00": now.Add(-time.Hour),
	} {
		got, err := vpn.ParseSince(in, now)
		if want.IsZero() {
			wantInvalid(t, err)
		} else if err != nil || !got.Equal(want) {
			t.Errorf("ParseSince(%q) = %v, %v; want %v", in, got, err, want)
		}
	}
	for _, in := range []string{"", "now", "never", "0d", "-1d", "2027-01-01", "1x", "9999999y", "99999999999h", "\n"} {
		if got, err := vpn.ParseSince(in, now); err == nil {
			t.Errorf("ParseSince(%q) = %v, want an error", in, got)
		} else {
			wantInvalid(t, err)
		}
	}
}

func TestParseStep(t *testing.T) {
	for in, want := range map[string]time.Duration{"10s": 10 * time.Second, "299s": 299 * time.Second, "300s": 5 * time.Minute, "5m": 5 * time.Minute, "60m": time.Hour, "1h": time.Hour, "1D": 24 * time.Hour, "366d": 366 * 24 * time.Hour} {
		if got, err := vpn.ParseStep(in); err != nil || got != want {
			t.Errorf("ParseStep(%q) = %v, %v; want %v", in, got, err, want)
		}
	}
	for _, in := range []string{"301s", "0s", "", "0m", "1m", "7m", "367d", "1w", "99999d", "5", "-5m"} {
		if got, err := vpn.ParseStep(in); err == nil {
			t.Errorf("ParseStep(%q) = %v, want an error", in, got)
		} else {
			wantInvalid(t, err)
		}
	}
}
