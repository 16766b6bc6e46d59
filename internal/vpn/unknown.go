package vpn

import "strings"

// Unknown returns an [Invalid] error about a word that should have been one
// of known, with the nearest of them, or all, in its hint. What is the noun:
// "setting", "key".
func Unknown(what, word string, known []string) *Error {
	err := Errorf(Invalid, "unknown %s %s", what, quoted(word))
	best, at := "", min(3, 1+len(word)/3)
	for _, k := range known {
		if d := distance(strings.ToLower(word), k, at); d <= at && (best == "" || d < at) {
			best, at = k, d
		}
	}
	if best != "" {
		return err.WithHint("did you mean %s?", best)
	}
	return err.WithHint("there is: %s", strings.Join(known, ", "))
}

// distance returns how many letters must be put in, left out or replaced to
// make b of a, or some number above most if there are more than most.
func distance(a, b string, most int) int {
	if len(a)-len(b) > most || len(b)-len(a) > most {
		return most + 1
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, diagonal+1, row[j]+1)
		}
	}
	return row[len(b)]
}
