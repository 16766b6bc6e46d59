package api_test

import "testing"

func BenchmarkHandler(b *testing.B) {
	for b.Loop() {
		newFixture(b)
	}
}
