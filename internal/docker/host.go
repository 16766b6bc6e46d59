package docker

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"vpn/internal/vpn"
)

// host returns the address of the engine that is meant, and what says so, in
// the order of the docker command: DOCKER_HOST, DOCKER_CONTEXT, the context
// that its configuration names.
func (o Options) host() (host, from string, err error) {
	if o.Host != "" {
		return o.Host, "as configured", nil
	}
	if h := o.Getenv("DOCKER_HOST"); h != "" {
		return h, "from DOCKER_HOST", nil
	}
	dir := o.Getenv("DOCKER_CONFIG")
	if dir == "" {
		if home := o.Getenv("HOME"); home != "" {
			dir = filepath.Join(home, ".docker")
		}
	}
	name, err := o.context(dir)
	if err != nil {
		return "", "", err
	}
	const none = "default" // is how Docker calls that there is none
	if name == "" || name == none {
		return DefaultHost, "the default", nil
	}
	from = "from the Docker context " + name
	sum := sha256.Sum256([]byte(name))
	var meta struct {
		Endpoints map[string]struct{ Host string }
	}
	path := filepath.Join(dir, "contexts", "meta", hex.EncodeToString(sum[:]), "meta.json")
	if err := readJSON(path, &meta); err != nil {
		return "", "", vpn.Errorf(vpn.Unavailable, "the Docker context %q cannot be read: %w", name, err).
			WithHint("see: docker context ls")
	}
	host = meta.Endpoints["docker"].Host
	if host == "" {
		return "", "", vpn.Errorf(vpn.Unavailable, "the Docker context %q names no engine", name).
			WithHint("see: docker context inspect %s", name)
	}
	return host, from, nil
}

// context returns the name of the context in use, or "".
func (o Options) context(dir string) (string, error) {
	if name := o.Getenv("DOCKER_CONTEXT"); name != "" {
		return name, nil
	}
	if dir == "" {
		return "", nil
	}
	var config struct {
		CurrentContext string `json:"currentContext"`
	}
	path := filepath.Join(dir, "config.json")
	if err := readJSON(path, &config); errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return "", nil
	} else if err != nil {
		return "", vpn.Errorf(vpn.Unavailable, "Docker's configuration cannot be read: %s: %w", path, err).
			WithHint("repair it, or name the engine: DOCKER_HOST=%s", DefaultHost)
	}
	return config.CurrentContext, nil
}

func readJSON(path string, into any) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, into)
}
