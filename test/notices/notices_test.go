package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// What is linked in today is under licences that are known and allowed, and
// the file that the program embeds says so.
func TestNoticesAreUpToDate(t *testing.T) {
	root, err := repository()
	if err != nil {
		t.Fatal(err)
	}
	watch(t, root)
	want, err := notices()
	if err != nil {
		t.Fatalf("%v\nhint: nothing may be linked in whose licence asks for the source of the whole", err)
	}
	have, err := os.ReadFile(filepath.Join(root, file))
	if err != nil {
		t.Fatal(err)
	}
	if string(have) != want {
		t.Errorf("%s is stale\nhint: go run ./test/notices", file)
	}
}

// watch reads what the answer of "go list" depends on, so that the test cache
// knows when it changes.
func watch(t *testing.T, root string) {
	t.Helper()
	for _, top := range []string{"go.mod", "cmd", "internal"} {
		err := filepath.WalkDir(filepath.Join(root, top), func(path string, _ fs.DirEntry, err error) error {
			if name := filepath.Base(path); err == nil && (name == "go.mod" || filepath.Ext(name) == ".go") {
				_, err = os.ReadFile(path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestRecognise(t *testing.T) {
	const (
		mit  = `Permission is hereby granted, free of charge, to any person obtaining a copy of … THE SOFTWARE IS PROVIDED "AS IS", WITHOUT`
		bsd2 = "Redistribution and use in source and binary forms, with or without\nmodification, are permitted provided"
		lib  = "This software is licensed under the LGPLv3, included below.\nGNU LESSER GENERAL PUBLIC LICENSE\n Version 3, 29 June 2007"
		exc  = "permission to\nconvey to a third party a Combined Work that links statically or dynamically\nto this Library without providing any Minimal Corresponding Source or"
	)
	for name, c := range map[string]struct {
		text string
		want []string // none: refused
	}{
		"MIT":                {mit, []string{"MIT"}},
		"typographic quotes": {strings.ReplaceAll(mit, `"AS IS"`, "“AS IS”"), []string{"MIT"}},
		"BSD-2":              {bsd2, []string{"BSD-2-Clause"}},
		"BSD-3":              {bsd2 + " … may be used to\n endorse or promote … used to endorse or promote products", []string{"BSD-3-Clause"}},
		"two":                {mit + "\nApache License\nVersion 2.0, January 2004", []string{"Apache-2.0", "MIT"}},
		"MPL":                {"Mozilla Public License Version 2.0\n1.10. \"Modifications\"\n… the GNU General Public License, Version 2.0", []string{"MPL-2.0"}},
		"LGPL, excused":      {lib + exc, []string{"LGPL-3.0-only WITH LGPL-3.0-linking-exception"}},
		"LGPL":               {lib, nil},
		"GPL":                {"GNU GENERAL PUBLIC LICENSE\nVersion 3, 29 June 2007", nil},
		"AGPL":               {"GNU AFFERO GENERAL PUBLIC LICENSE\nVersion 3", nil},
		"SSPL":               {"Server Side Public License\nVERSION 1", nil},
		"MIT and GPL":        {mit + "\nParts are under the GNU General Public License.", nil},
		"unknown":            {"You may use this on Sundays.", nil},
		"nothing":            {"", nil},
	} {
		got, err := recognise(c.text)
		if (err != nil) != (c.want == nil) || !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, %v, want %q", name, got, err, c.want)
		}
	}
}

// A module that says nothing about its licence is refused, and one that is
// forbidden is named together with the file that says so.
func TestExamineRefuses(t *testing.T) {
	silent := &module{path: "example.org/silent", version: "v1.0.0"}
	if _, err := examine([]*module{silent}); err == nil {
		t.Error("a module without a licence was let in")
	}
	gpl := &module{path: "example.org/gpl", version: "v1.0.0", files: map[string]string{"sub/COPYING": "GNU GENERAL PUBLIC LICENSE Version 2"}}
	_, err := examine([]*module{gpl})
	if !errors.Is(err, errForbidden) || !strings.Contains(err.Error(), "example.org/gpl v1.0.0, sub/COPYING") {
		t.Errorf("error %v", err)
	}
}

func TestRenderSharesTexts(t *testing.T) {
	mit := func(owner string) map[string]string {
		return map[string]string{"LICENSE": "MIT License\n\nCopyright (c) 2020 " + owner + "\n\nPermission is hereby granted, free of charge, to any person obtaining a copy … the software is provided \"as is\""}
	}
	components, err := examine([]*module{
		{path: "example.org/a", version: "v1.2.3", files: mit("Ann")},
		{path: "example.org/b", version: "v0.0.0-20260101000000-0123456789ab", files: mit("Bob")},
	})
	if err != nil {
		t.Fatal(err)
	}
	text := render(components)
	if n := strings.Count(text, "Permission is hereby granted"); n != 1 {
		t.Errorf("the text that both share is printed %d times", n)
	}
	for _, want := range []string{"example.org/a v1.2.3\n", "    Copyright (c) 2020 Ann\n", "    Copyright (c) 2020 Bob\n", "text 1: example.org/a, example.org/b\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in:\n%s", want, text)
		}
	}
	if got := revision("v0.0.0-20260101000000-0123456789ab"); got != "commit 0123456789ab" {
		t.Errorf("revision %q", got)
	}
	if got := revision("v1.2.3"); got != "tag v1.2.3" {
		t.Errorf("revision %q", got)
	}
}
