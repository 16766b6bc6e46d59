package logging_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"vpn/internal/logging"
	"vpn/internal/vpn"
)

func TestAdjust(t *testing.T) {
	var out bytes.Buffer
	log, control, err := logging.NewAdjustable(&out, slog.LevelWarn, "text")
	if err != nil {
		t.Fatal(err)
	}
	derived := log.With(slog.String("who", "x")).WithGroup("g")
	said := func() string {
		out.Reset()
		derived.Info("hello", slog.String("uuid", "00000000-0000-0000-0000-000000000000"))
		return out.String()
	}
	if got := said(); got != "" {
		t.Errorf("below its level: %q", got)
	}
	if err := control.Set(slog.LevelInfo, "json"); err != nil {
		t.Fatal(err)
	}
	if got := said(); !strings.HasPrefix(got, "{") || !strings.Contains(got, `"who":"x","g":{"uuid":"[secret]"}`) {
		t.Errorf("as JSON: %q", got)
	}
	if err := control.Set(slog.LevelDebug, "yaml"); vpn.KindOf(err) != vpn.Invalid || !strings.HasPrefix(said(), "{") ||
		log.Enabled(t.Context(), slog.LevelDebug) {
		t.Errorf("an unknown format: %v, and what was stays", err)
	}
	if err := control.Set(slog.LevelInfo, "text"); err != nil {
		t.Fatal(err)
	}
	if got := said(); !strings.Contains(got, "msg=hello who=x g.uuid=[secret]") {
		t.Errorf("as text: %q", got)
	}
}
