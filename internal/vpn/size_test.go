package vpn_test

import (
	"math"
	"testing"

	"vpn/internal/vpn"
)

func TestParseSize(t *testing.T) {
	for _, c := range []struct {
		in   string
		want uint64
	}{
		{"50GB", 50_000_000_000},
		{"50gb", 50_000_000_000},
		{" 50 GB ", 50_000_000_000},
		{"50G", 50_000_000_000},
		{"10GiB", 10 << 30},
		{"1.5TB", 1_500_000_000_000},
		{"0.1GB", 100_000_000}, // no float in the way
		{"1.1kB", 1100},
		{"1.9999KB", 1999},
		{"123", 123},
		{"123B", 123},
		{"none", 0},
		{"Unlimited", 0},
		{"9223372036854775807", math.MaxInt64},
		{"9.223372036854775807EB", math.MaxInt64},
		{"1EiB", 1 << 60},
	} {
		if got, err := vpn.ParseSize(c.in); err != nil || got != c.want {
			t.Errorf("ParseSize(%q) = %d, %v; want %d", c.in, got, err, c.want)
		}
	}
}

func TestParseSizeRefuses(t *testing.T) {
	for _, in := range []string{
		"", " ", "GB", "-1GB", "+1GB", "1,5GB", "1.GB", ".5GB", "1e9", "0x10", "NaN", "Inf", "1/2GB",
		"5 5GB", "5GB GB", "5XB", "5GB\n5", "5Gbit", "٣GB", "5GB\x00",
		"0", "0GB", "0.0", // no limit is "none"
		"0.5B", "0.0000000001GB", // would become 0, which is no limit
		"9223372036854775808", "8EiB", "99999999999999999999EB",
		"111111111111111111111GB", // longer than any number that fits
	} {
		got, err := vpn.ParseSize(in)
		if err == nil {
			t.Errorf("ParseSize(%q) = %d, want an error", in, got)
			continue
		}
		wantInvalid(t, err)
	}
}

func TestParseRate(t *testing.T) {
	for _, c := range []struct {
		in   string
		want uint64
	}{
		{"20mbit", 2_500_000},
		{"20Mbit/s", 2_500_000},
		{"20Mbps", 2_500_000},
		{"800kbit", 100_000},
		{"0.1gbit", 12_500_000},
		{"8bit", 1},
		{"2.5MB/s", 2_500_000},
		{"2.5 MB/s", 2_500_000},
		{"100kB/s", 100_000},
		{"100KB/s", 100_000},
		{"1MiB/s", 1 << 20},
		{"none", 0},
		{"unlimited", 0},
	} {
		if got, err := vpn.ParseRate(c.in); err != nil || got != c.want {
			t.Errorf("ParseRate(%q) = %d, %v; want %d", c.in, got, err, c.want)
		}
	}
}

func TestParseRateRefuses(t *testing.T) {
	for _, in := range []string{
		"", "20", "20M", "20MB", "20mb/s", "20Mb/s", "20MBps", "20MBPS", "20mbit/h", "20mbps/s", "-1mbit", "NaN", "1e3bit",
		"0", "0mbit",
		"7bit", // less than a byte per second
		"99999999999999999999gbit",
	} {
		got, err := vpn.ParseRate(in)
		if err == nil {
			t.Errorf("ParseRate(%q) = %d, want an error", in, got)
			continue
		}
		wantInvalid(t, err)
	}
}

func TestFormatSize(t *testing.T) {
	for _, c := range []struct {
		in   uint64
		want string
	}{
		{0, "0 B"},
		{999, "999 B"},
		{1000, "1 kB"},
		{1234, "1.23 kB"},
		{12_345, "12.3 kB"},
		{123_456, "123 kB"},
		{999_499, "999 kB"},
		{999_500, "1 MB"},
		{9_994_999, "9.99 MB"},
		{9_995_000, "10 MB"},
		{99_950_000, "100 MB"},
		{50_000_000_000, "50 GB"},
		{1_500_000_000_000, "1.5 TB"},
		{math.MaxInt64, "9.22 EB"},
		{math.MaxUint64, "18.4 EB"},
	} {
		if got := vpn.FormatSize(c.in); got != c.want {
			t.Errorf("FormatSize(%d) = %q, want %q", c.in, got, c.want)
		}
	}
	if got := vpn.FormatRate(2_500_000); got != "2.5 MB/s" {
		t.Errorf("FormatRate(2500000) = %q", got)
	}
}

// What is shown can be typed in again, and is off by less than its last digit.
func FuzzFormatSize(f *testing.F) {
	for _, n := range []uint64{0, 1, 999, 1000, 999_999, 1 << 30, math.MaxInt64} {
		f.Add(n)
	}
	f.Fuzz(func(t *testing.T, n uint64) {
		n = 1 + n%9_220_000_000_000_000_000 // rounding must not lead above MaxTraffic
		for _, text := range []string{vpn.FormatSize(n), vpn.FormatRate(n)} {
			back, err := vpn.ParseSize(text)
			if text == vpn.FormatRate(n) {
				back, err = vpn.ParseRate(text)
			}
			if err != nil {
				t.Fatalf("%q cannot be read back: %v", text, err)
			}
			if off := math.Abs(float64(back) - float64(n)); off > float64(n)*0.0051 {
				t.Errorf("%d became %q, which is %d", n, text, back)
			}
		}
	})
}

func FuzzParseSize(f *testing.F) {
	for _, s := range []string{"50GB", "1.5 TiB", "none", "0", "-1", "9999999999999999999EB", "1e400"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		size, err := vpn.ParseSize(s)
		checkAmount(t, size, err)
		rate, err := vpn.ParseRate(s)
		checkAmount(t, rate, err)
	})
}

func checkAmount(t *testing.T, n uint64, err error) {
	t.Helper()
	if n > vpn.MaxTraffic {
		t.Errorf("got %d, more than can be stored", n)
	}
	if err != nil {
		if n != 0 {
			t.Errorf("got %d beside the error %v", n, err)
		}
		wantInvalid(t, err)
	}
}
