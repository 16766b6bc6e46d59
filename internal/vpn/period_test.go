package vpn_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"vpn/internal/vpn"
)

func TestPeriodNext(t *testing.T) {
	for _, c := range []struct{ every, on, zone, after, want string }{
		{"", "", "", "2026-11-28T10:00:00Z", "0001-01-01T00:00:00Z"},
		{"day", "", "", "2026-11-28T10:00:00Z", "2026-11-29T00:00:00Z"},
		{"day", "", "", "2026-11-29T00:00:00Z", "2026-11-30T00:00:00Z"}, // later than that moment
		{"day", "", "Asia/Tokyo", "2026-11-28T14:59:59Z", "2026-11-28T15:00:00Z"},
		{"30d", "", "Asia/Tokyo", "2026-11-28T14:59:59Z", "2026-11-28T15:00:00Z"},
		{"week", "", "", "2026-11-28T10:00:00Z", "2026-11-30T00:00:00Z"}, // a Saturday; Monday
		{"week", "sat", "", "2026-11-28T10:00:00Z", "2026-12-05T00:00:00Z"},
		{"week", "SUN", "", "2026-11-28T10:00:00Z", "2026-11-29T00:00:00Z"},
		{"month", "", "", "2026-11-28T10:00:00Z", "2026-12-01T00:00:00Z"},
		{"month", "28", "", "2026-11-28T10:00:00Z", "2026-12-28T00:00:00Z"},
		{"month", "15", "Europe/Berlin", "2026-11-28T10:00:00Z", "2026-12-14T23:00:00Z"},
		// The 31st is the last day of a month, and comes back in the next.
		{"month", "31", "", "2026-01-31T00:00:00Z", "2026-02-28T00:00:00Z"},
		{"month", "31", "", "2026-02-28T00:00:00Z", "2026-03-31T00:00:00Z"},
		{"month", "31", "", "2026-03-31T12:00:00Z", "2026-04-30T00:00:00Z"},
		{"month", "30", "", "2028-01-30T00:00:00Z", "2028-02-29T00:00:00Z"},
		{"month", "1", "", "2026-12-31T23:59:59Z", "2027-01-01T00:00:00Z"},
		{"year", "", "", "2026-11-28T10:00:00Z", "2027-01-01T00:00:00Z"},
		{"year", "03-15", "", "2026-11-28T10:00:00Z", "2027-03-15T00:00:00Z"},
		{"year", "02-29", "", "2026-11-28T10:00:00Z", "2027-02-28T00:00:00Z"},
		{"year", "02-29", "", "2027-02-28T00:00:00Z", "2028-02-29T00:00:00Z"},
		// A day of 23 hours and one of 25.
		{"day", "", "Europe/Berlin", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"},
		{"day", "", "Europe/Berlin", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"},
		// Clocks that are put forward over midnight: the day begins at one.
		{"day", "", "America/Sao_Paulo", "2018-11-03T12:00:00Z", "2018-11-04T03:00:00Z"},
		{"month", "4", "America/Sao_Paulo", "2018-11-03T12:00:00Z", "2018-11-04T03:00:00Z"},
		{"day", "", "Asia/Beirut", "2022-03-26T12:00:00Z", "2022-03-26T22:00:00Z"},
		// And back over it: midnight comes twice, and the first counts.
		{"day", "", "Atlantic/Azores", "2021-10-30T12:00:00Z", "2021-10-31T00:00:00Z"},
		{"day", "", "Atlantic/Azores", "2021-10-31T00:30:00Z", "2021-11-01T01:00:00Z"},
		{"day", "", "America/Sao_Paulo", "2018-02-17T12:00:00Z", "2018-02-18T03:00:00Z"},
		// A day that there was not.
		{"day", "", "Pacific/Apia", "2011-12-29T12:00:00Z", "2011-12-30T10:00:00Z"},
		{"month", "30", "Pacific/Apia", "2011-12-29T12:00:00Z", "2011-12-30T10:00:00Z"},
		{"day", "", "Pacific/Apia", "2011-12-30T10:00:00Z", "2011-12-31T10:00:00Z"},
	} {
		p := vpn.Period{Every: vpn.Cycle(c.every), ResetsOn: c.on, TimeZone: c.zone}
		if err := p.Valid(); err != nil {
			t.Errorf("%+v: %v", p, err)
			continue
		}
		after, err := time.Parse(time.RFC3339, c.after)
		if err != nil {
			t.Fatal(err)
		}
		got, err := p.Next(after)
		if err != nil || got.Format(time.RFC3339Nano) != c.want || got.Location() != time.UTC {
			t.Errorf("%+v after %s: %v, %v; want %s", p, c.after, got, err, c.want)
		}
	}
}

func TestPeriodRefuses(t *testing.T) {
	for _, p := range []vpn.Period{
		{Every: "fortnight"},
		{Every: "Month"},
		{Every: "none"},
		{ResetsOn: "15"},
		{TimeZone: "UTC"},
		{Every: vpn.Daily, ResetsOn: "1"},
		{Every: vpn.Rolling, ResetsOn: "1"},
		{Every: vpn.Weekly, ResetsOn: "1"},
		{Every: vpn.Weekly, ResetsOn: "monday"},
		{Every: vpn.Monthly, ResetsOn: "32"},
		{Every: vpn.Monthly, ResetsOn: "0"},
		{Every: vpn.Monthly, ResetsOn: "-1"},
		{Every: vpn.Monthly, ResetsOn: "01"},
		{Every: vpn.Monthly, ResetsOn: "300"},
		{Every: vpn.Monthly, ResetsOn: "1st"},
		{Every: vpn.Yearly, ResetsOn: "15"},
		{Every: vpn.Yearly, ResetsOn: "02-30"},
		{Every: vpn.Yearly, ResetsOn: "13-01"},
		{Every: vpn.Yearly, ResetsOn: "00-10"},
		{Every: vpn.Daily, TimeZone: "Europe/Berlinn"},
		{Every: vpn.Daily, TimeZone: "Local"},
		{Every: vpn.Daily, TimeZone: "../etc/passwd"},
		{Every: vpn.Daily, TimeZone: "/etc/localtime"},
		{Every: vpn.Daily, TimeZone: "Europe"},
		{Every: vpn.Daily, TimeZone: "a\nb"},
		{Every: vpn.Daily, TimeZone: "CEST"},
	} {
		err := p.Valid()
		if err == nil {
			t.Errorf("%+v is taken", p)
			continue
		}
		wantInvalid(t, err)
	}
}

// In every zone, a period begins at the first moment of a day that it may
// begin on, later than asked, and never twice.
func TestPeriodBeginsWithADay(t *testing.T) {
	zones := []string{
		"", "Europe/Berlin", "America/New_York", "America/Sao_Paulo", "Asia/Beirut", "Asia/Kathmandu", "Atlantic/Azores",
		"Africa/Cairo", "Asia/Gaza", "Australia/Lord_Howe", "America/Havana", "Pacific/Apia", "Pacific/Kiritimati", "America/Santiago",
	}
	periods := []vpn.Period{
		{Every: vpn.Daily},
		{Every: vpn.Rolling},
		{Every: vpn.Weekly, ResetsOn: "sun"},
		{Every: vpn.Monthly, ResetsOn: "31"},
		{Every: vpn.Monthly, ResetsOn: "1"},
		{Every: vpn.Yearly, ResetsOn: "02-29"},
	}
	most := map[vpn.Cycle]int{vpn.Daily: 2, vpn.Rolling: 2, vpn.Weekly: 8, vpn.Monthly: 32, vpn.Yearly: 367}
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.SampledFrom(periods).Draw(t, "period")
		p.TimeZone = rapid.SampledFrom(zones).Draw(t, "zone")
		loc, err := vpn.Zone(p.TimeZone)
		if err != nil {
			t.Fatal(err)
		}
		at := time.Unix(rapid.Int64Range(1e9, 4e9).Draw(t, "at"), 0)
		next, err := p.Next(at)
		if err != nil || !next.After(at) || next.Sub(at) > time.Duration(most[p.Every])*25*time.Hour {
			t.Fatalf("%+v after %v: %v, %v", p, at, next, err)
		}
		if day, before := next.In(loc), next.Add(-1).In(loc); day.YearDay() == before.YearDay() {
			t.Fatalf("%+v begins in the middle of a day: %v", p, day)
		}
		// Whoever asks on the way is told the same.
		between := at.Add(time.Duration(rapid.Float64Range(0, 0.999).Draw(t, "between") * float64(next.Sub(at))))
		if again, err := p.Next(between); err != nil || !again.Equal(next) {
			t.Fatalf("%+v after %v: %v, and after %v: %v", p, at, next, between, again)
		}
	})
}

// A day counts on thirty days, its own included.
func TestLeaves(t *testing.T) {
	p := vpn.Period{Every: vpn.Rolling, TimeZone: "Europe/Berlin"}
	end := time.Date(2026, 3, 1, 23, 0, 0, 0, time.UTC) // of the 1st of March
	for _, at := range []time.Time{end, end.Add(5 * time.Hour)} {
		got, err := p.Leaves(at)
		if want := time.Date(2026, 3, 30, 22, 0, 0, 0, time.UTC); err != nil || !got.Equal(want) { // summer time
			t.Errorf("%v, %v, want %v", got, err, want)
		}
	}
}

func TestParseCycle(t *testing.T) {
	for in, want := range map[string]vpn.Cycle{"none": vpn.NoCycle, "Month": vpn.Monthly, " 30d ": vpn.Rolling} {
		if got, err := vpn.ParseCycle(in); err != nil || got != want {
			t.Errorf("ParseCycle(%q) = %q, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "monthly", "31d"} {
		_, err := vpn.ParseCycle(in)
		wantInvalid(t, err)
	}
}

func FuzzPeriod(f *testing.F) {
	f.Add("month", "15", "Europe/Berlin")
	f.Add("year", "02-29", "")
	f.Add("week", "mon", "Local")
	at := time.Date(2026, 11, 28, 10, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, every, on, zone string) {
		p := vpn.Period{Every: vpn.Cycle(every), ResetsOn: on, TimeZone: zone}
		if err := p.Valid(); err != nil {
			wantInvalid(t, err)
			return
		}
		next, err := p.Next(at)
		if err != nil || every != "" && !next.After(at) {
			t.Errorf("%+v: %v, %v", p, next, err)
		}
	})
}
