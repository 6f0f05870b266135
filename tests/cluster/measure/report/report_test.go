package report

import (
	"strings"
	"testing"
	"time"

	"weft.dev/cluster/measure/scenario"
)

func part(name, measured string, met bool) Part {
	return Part{Scenario: name, Began: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC), Rows: []scenario.Row{{What: "a|b", Measured: measured, Goal: "0", Met: &met}}}
}

func TestTheLastRunOfEveryScenarioIsKeptInOrder(t *testing.T) {
	var parts []Part
	for _, p := range []Part{part("kill", "1", false), part("edits", "2", true), part("kill", "3", true)} {
		parts = merge(parts, p)
	}
	if len(parts) != 2 || parts[0].Scenario != "edits" || parts[1].Rows[0].Measured != "3" {
		t.Errorf("kept %+v", parts)
	}
}

func TestATableHasAVerdictForEveryGoal(t *testing.T) {
	text := Render([]Part{part("kill", "1\n2", false)})
	if want := `| a\|b | 1 2 | 0 | **missed** |`; !strings.Contains(text, want) {
		t.Errorf("%q is not in\n%s", want, text)
	}
}

func TestCommandsLeaveOutPaths(t *testing.T) {
	for _, row := range []struct {
		args []string
		want string
	}{
		{[]string{"-weft", "/a/weft", "-kinds=/b", "-rate", "50", "-write", "/c", "-keep", "kill"}, "cargo x cluster measure kill -- -rate=50"},
		{[]string{"edits", "kill"}, "cargo x cluster measure edits kill"},
	} {
		if got := command(row.args); got != row.want {
			t.Errorf("%v is %q, want %q", row.args, got, row.want)
		}
	}
}
