// Package main writes the notices of the third-party code that is linked into
// the product, from the module graph and the licence files in it; its test
// fails when they are stale, and when a licence is unknown or forbidden. It
// must not guess: what it cannot recognise is an error.
//
//	go run ./test/notices
package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// file is where the notices are kept, below the root of the repository. The
// program embeds it.
const file = "internal/notices/third-party.txt"

func main() {
	if err := write(); err != nil {
		fmt.Fprintln(os.Stderr, "notices:", err)
		os.Exit(1)
	}
}

func write() error {
	root, err := repository()
	if err != nil {
		return err
	}
	text, err := notices()
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(root, file), []byte(text), 0o644)
}

// notices returns what the file should say.
func notices() (string, error) {
	modules, err := linked()
	if err != nil {
		return "", err
	}
	components, err := examine(modules)
	if err != nil {
		return "", err
	}
	return render(components), nil
}

// repository returns the root of the source tree.
func repository() (string, error) {
	out, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("go env GOMOD: %w", err)
	}
	return filepath.Dir(strings.TrimSpace(string(out))), nil
}
