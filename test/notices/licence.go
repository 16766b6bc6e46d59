package main

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// A component is a module with what was found out about it.
type component struct {
	*module
	licences  []string // their SPDX names, sorted
	copyright []string // lines, as they stand
}

// known are the licences that the product may link in, and by which words each
// is told. A file may hold several.
var known = []struct {
	name  string
	words []string // all of them, in lower case with single spaces
	not   string   // and this not
}{
	{"Apache-2.0", []string{"apache license", "version 2.0"}, ""},
	{"MIT", []string{"permission is hereby granted, free of charge, to any person obtaining a copy", "the software is provided \"as is\""}, ""},
	{"BSD-3-Clause", []string{bsd, "used to endorse or promote products"}, ""},
	{"BSD-2-Clause", []string{bsd}, "used to endorse or promote products"},
	{"ISC", []string{"permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is hereby granted"}, ""},
	{"MPL-2.0", []string{mpl, "1.10. \"modifications\""}, ""},
	{"LGPL-3.0-only WITH LGPL-3.0-linking-exception", []string{lgpl, linking}, ""},
	{"blessing", []string{"the author disclaims copyright to this source code", "may you do good and not evil"}, ""},
	{"blessing", []string{"public domain", "sqlite"}, "permission is hereby granted"},
}

const (
	bsd     = "redistribution and use in source and binary forms, with or without modification, are permitted"
	mpl     = "mozilla public license version 2.0"
	lgpl    = "gnu lesser general public license"
	linking = "permission to convey to a third party a combined work that links statically or dynamically to this library without providing any minimal corresponding source"
)

var errForbidden = errors.New("under the GPL, or a licence like it")

// recognise returns the licences that a text states. One that asks for the
// source of all that is linked together is an error, and so is an unknown one.
func recognise(text string) ([]string, error) {
	words := plain(text)
	var names []string
	for _, k := range known {
		all := k.not == "" || !strings.Contains(words, k.not)
		for _, w := range k.words {
			all = all && strings.Contains(words, w)
		}
		if all && !slices.Contains(names, k.name) {
			names = append(names, k.name)
		}
	}
	// The MPL names these to say with which it goes together; the exception
	// speaks of the licence that it is an exception to.
	excused := strings.Contains(words, mpl) || strings.Contains(words, lgpl) && strings.Contains(words, linking)
	if strings.Contains(words, "general public license") && !excused || strings.Contains(words, "server side public license") {
		return nil, errForbidden
	}
	if len(names) == 0 {
		return nil, errors.New("under a licence that is not known here")
	}
	return names, nil
}

var (
	// further is a file that carries notices of others, with all kinds of texts.
	further   = regexp.MustCompile(`(?i)3rd|third|notice|^copyright`)
	copyright = regexp.MustCompile(`(?im)^[ \t#*/]*((?:all files )?copyright:? (?:\(c\)|©|[0-9]{4}).*)$`)
	blank     = regexp.MustCompile(`\s+`)
)

func plain(text string) string {
	text = strings.NewReplacer("“", `"`, "”", `"`, "``", `"`, "''", `"`).Replace(text)
	return blank.ReplaceAllString(strings.ToLower(text), " ")
}

// examine recognises the licences of modules.
func examine(modules []*module) ([]component, error) {
	var cs []component
	var errs []error
	for _, m := range modules {
		c := component{module: m}
		for _, name := range slices.Sorted(maps.Keys(m.files)) {
			text := m.files[name]
			if further.MatchString(name) {
				continue
			}
			names, err := recognise(text)
			if err != nil {
				errs = append(errs, fmt.Errorf("%s %s, %s: %w", m.path, m.version, name, err))
			}
			c.licences = append(c.licences, names...)
			for _, found := range copyright.FindAllStringSubmatch(text, -1) {
				c.copyright = append(c.copyright, strings.TrimSpace(found[1]))
			}
		}
		slices.Sort(c.licences)
		c.licences = slices.Compact(c.licences)
		slices.Sort(c.copyright)
		c.copyright = slices.Compact(c.copyright)
		if len(c.licences) == 0 {
			errs = append(errs, fmt.Errorf("%s %s says nowhere what licence it is under", m.path, m.version))
		}
		cs = append(cs, c)
	}
	return cs, errors.Join(errs...)
}
