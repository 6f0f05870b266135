package kube

import (
	"reflect"
	"testing"
)

func TestMetricsAreReadWithTheirLabels(t *testing.T) {
	text := `# TYPE repairs counter
repairs_total{fault="rules",shard="shop"} 3
connected 1
broken x
# EOF
`
	want := []Sample{
		{"repairs_total", map[string]string{"fault": "rules", "shard": "shop"}, 3},
		{"connected", map[string]string{}, 1},
	}
	if got := parseMetrics(text); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}
