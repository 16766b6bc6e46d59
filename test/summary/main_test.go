package main

import (
	"strings"
	"testing"
)

func TestSummary(t *testing.T) {
	const passed = `{"Action":"start","Package":"p"}
{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestA","Output":"=== RUN   TestA\n"}
{"Action":"output","Package":"p","Test":"TestA","Output":"nobody needs this\n"}
{"Action":"pass","Package":"p","Test":"TestA/part","Elapsed":9}
{"Action":"pass","Package":"p","Test":"TestA","Elapsed":1.25}
{"Action":"skip","Package":"p","Test":"TestB","Elapsed":0}
`
	const end = `{"Action":"output","Package":"p","Output":"PASS\n"}
{"Action":"output","Package":"p","Output":"ok  \tp\t1.3s\n"}
{"Action":"pass","Package":"p","Elapsed":1.3}
`
	const failed = `{"Action":"output","Package":"p","Test":"TestC/part","Output":"WARNING: DATA RACE\n"}
{"Action":"fail","Package":"p","Test":"TestC/part","Elapsed":2}
{"Action":"fail","Package":"p","Test":"TestC","Elapsed":2}
{"Action":"output","Package":"p","Output":"FAIL\tp\t2.0s\n"}
{"Action":"fail","Package":"p","Elapsed":2}
`
	for name, c := range map[string]struct {
		in, err string
		want    []string
	}{
		"all is well": {passed + end, "", []string{"ok  \tp\t1.3s\n", "    9.0 s  TestA\n", "skip: TestB\n", "\n2 tests: 1 passed, 1 skipped, 0 failed; 0 reports of races\n"}},
		"one fails":   {passed + failed, "failed: p", []string{"WARNING: DATA RACE\n", "FAIL\tp\t2.0s\n", "fail: TestC\n", "3 tests: 1 passed, 1 skipped, 1 failed; 1 reports of races\n"}},
		"it does not compile": {
			`{"ImportPath":"p","Action":"build-output","Output":"p.go:1: no\n"}` + "\n" + `{"Action":"fail","Package":"p"}` + "\n", "failed: p", []string{"p.go:1: no\n"},
		},
		"it dies":             {passed + `{"Action":"output","Package":"p","Test":"TestC","Output":"panic: x\n"}` + "\n", "nothing", []string{"panic: x\n"}},
		"nothing matches":     {end, "nothing was tested", nil},
		"nothing comes":       {"", "nothing was tested", nil},
		"something else says": {"go: no such tool\n", "nothing was tested", []string{"go: no such tool\n"}},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			err := summarize(strings.NewReader(c.in), &out)
			switch {
			case c.err == "" && err != nil, c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)):
				t.Errorf("error %v, want %q", err, c.err)
			}
			for _, want := range c.want {
				if !strings.Contains(out.String(), want) {
					t.Errorf("%q is not in:\n%s", want, out.String())
				}
			}
			if strings.Contains(out.String(), "nobody needs this") || strings.Contains(out.String(), "=== ") {
				t.Errorf("it shows too much:\n%s", out.String())
			}
		})
	}
}
