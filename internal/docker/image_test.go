package docker_test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"vpn/internal/docker"
	"vpn/internal/vpn"
)

func files(t *testing.T, archive []byte) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	for r := tar.NewReader(bytes.NewReader(archive)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		if out[h.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
}

// An image holds the program and nothing else, and is the same each time.
func TestImage(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("images are made on Linux")
	}
	program := filepath.Join(t.TempDir(), "vpn")
	text := []byte(strings.Repeat("program", 10_000))
	if err := os.WriteFile(program, text, 0o755); err != nil {
		t.Fatal(err)
	}
	var first, second bytes.Buffer
	for _, b := range []*bytes.Buffer{&first, &second} {
		n, err := docker.NewImage(program, "v1.2.3+dirty (devel)", "").WriteTo(b)
		if err != nil || int(n) != b.Len() {
			t.Fatalf("%d of %d bytes, %v", n, b.Len(), err)
		}
	}
	if !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Error("the same program gives two images")
	}
	tag, err := docker.NewImage(program, "v1.2.3+dirty (devel)", "").Tag()
	sum := sha256.Sum256(text)
	if want := "vpn:v1.2.3-dirty--devel-" + hex.EncodeToString(sum[:6]); tag != want || err != nil {
		t.Errorf("it is called %q, want %q, %v", tag, want, err)
	}
	if other, err := docker.NewImage("/proc/self/exe", "-- .", "").Tag(); err != nil || !regexp.MustCompile(`^vpn:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$`).MatchString(other) {
		t.Errorf("a version of signs gives %q, %v", other, err)
	}
	var owned bytes.Buffer
	image := docker.NewImage(program, "v1.2.3+dirty (devel)", "abcdefghijklmnop")
	if owners, err := image.Tag(); owners != tag+"-abcdefgh" || err != nil {
		t.Errorf("that of an installation is called %q, %v", owners, err)
	}
	if _, err := image.WriteTo(&owned); err != nil || !strings.Contains(owned.String(), `"vpn.store":"abcdefghijklmnop"`) || strings.Contains(first.String(), "vpn.store") {
		t.Errorf("it does not say whose it is, %v", err)
	}
	in := files(t, first.Bytes())
	var manifest []struct {
		Config, Layers any
		RepoTags       []string
	}
	if err := json.Unmarshal(in["manifest.json"], &manifest); err != nil || len(manifest) != 1 || manifest[0].RepoTags[0] != tag {
		t.Fatalf("the manifest is %s, %v", in["manifest.json"], err)
	}
	layer := in[manifest[0].Layers.([]any)[0].(string)]
	held := files(t, layer)
	if !bytes.Equal(held["vpn"], text) {
		t.Error("it does not hold the program")
	}
	for name := range held {
		if name != "vpn" && !strings.HasSuffix(name, "/") {
			t.Errorf("it holds %s, too", name)
		}
	}
	var config struct {
		Architecture string
		Config       struct {
			User       string
			Entrypoint []string
		}
		Rootfs struct {
			DiffIDs []string `json:"diff_ids"`
		}
	}
	if err := json.Unmarshal(in[manifest[0].Config.(string)], &config); err != nil {
		t.Fatal(err)
	}
	id := sha256.Sum256(layer)
	if config.Config.User != "65532:65532" || config.Config.Entrypoint[0] != "/vpn" || config.Architecture != runtime.GOARCH ||
		config.Rootfs.DiffIDs[0] != "sha256:"+hex.EncodeToString(id[:]) {
		t.Errorf("its configuration is %+v", config)
	}
}

func TestImageOfNothing(t *testing.T) {
	if _, err := docker.NewImage(filepath.Join(t.TempDir(), "none"), "v1", "").WriteTo(io.Discard); err == nil {
		t.Error("an image is made of a program that is not there")
	}
}

func TestEngineOfAnotherArchitecture(t *testing.T) {
	info := linux()
	info["Architecture"] = "s390x"
	e := docker.New(docker.Options{Host: speaker(t, pretend("1.47", "Engine", info))})
	defer e.Close()
	_, err := docker.NewImage("/proc/self/exe", "v1", "").Ensure(t.Context(), e)
	wantUnavailable(t, err, runtime.GOARCH)
	if vpn.HintOf(err) == "" {
		t.Error("it has no hint")
	}
}
