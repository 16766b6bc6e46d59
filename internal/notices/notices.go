// Package notices holds what the licences of the code that is linked into the
// program ask it to carry: names, copyright lines and licence texts. It knows
// nothing else. The text is made from the module graph by test/notices:
//
//	go run ./test/notices
package notices

import _ "embed"

//go:embed third-party.txt
var text string

// Text returns the notices, as plain text in English.
func Text() string { return text }
