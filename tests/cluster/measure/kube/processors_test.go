package kube

import (
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

func TestDealsProcessors(t *testing.T) {
	rows := []struct {
		all   []int
		parts int
		want  []string
	}{
		{[]int{0, 1}, 2, []string{"0", "1"}},
		{[]int{2, 3, 6, 7}, 2, []string{"2,3", "6,7"}},
		{[]int{0, 1, 2}, 2, []string{"0", "1"}},
		{[]int{0}, 2, nil},
	}
	for _, row := range rows {
		var set unix.CPUSet
		for _, cpu := range row.all {
			set.Set(cpu)
		}
		got, err := deal(set, row.parts)
		if !slices.Equal(got, row.want) || (err == nil) != (row.want != nil) {
			t.Errorf("%v in %d parts: %q, %v; want %q", row.all, row.parts, got, err, row.want)
		}
	}
}
