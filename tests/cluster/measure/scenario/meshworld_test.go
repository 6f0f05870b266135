package scenario

import (
	"testing"

	"weft.dev/cluster/measure/kube"
	"weft.dev/cluster/measure/load"
)

func TestManifestsOfTheMeshAreObjects(t *testing.T) {
	for name, row := range map[string]struct {
		manifest string
		want     int
	}{
		"servers and clients": {meshManifest(2, [2]string{"one", "two"}), 2 + 3 + 3},
		"an account":          {accountManifest("red", "one"), 3},
		"far ends of noise":   {sinks([2]string{"one", "two"}), 3 * 4},
		"a noisy neighbour":   {workload{beside, "neighbour", 1, "two", []string{"-noise=resets"}, noisy}.manifest(), 1},
		"where it is alone":   {besideManifest, 1},
		"a new application":   {deployment(namespace, "new", 1, "one", "-ask=10.0.0.1:80"), 1},
	} {
		objects, err := kube.Parse(row.manifest)
		if err != nil || len(objects) != row.want {
			t.Errorf("%s: %d objects, %v; want %d", name, len(objects), err, row.want)
		}
	}
}

func TestWhatKnowsNoHTTPGoesNotWhereItIsRead(t *testing.T) {
	ways := meshed{Address: "a:1", Routed: "b:1"}.ways()
	if got := len(ways[0].modes); got != len(load.MeshModes) || ways[0].target.Address != "a:1" {
		t.Errorf("%d kinds of clients go to %s, want all", got, ways[0].target.Address)
	}
	for _, mode := range ways[1].modes {
		if mode.Name == "TCP stream" || ways[1].target.Address != "b:1" {
			t.Errorf("%s goes to %s", mode.Name, ways[1].target.Address)
		}
	}
}
