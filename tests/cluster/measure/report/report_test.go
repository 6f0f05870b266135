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

func TestFailuresAreToldBelowTheirTable(t *testing.T) {
	failed := part("kill", "1 reset", false)
	failed.Rows[0].Examples = []string{"reset: `why`"}
	if text := Render([]Part{failed}); !strings.HasSuffix(text, "\na|b, for example:\n\n- `reset: 'why'`\n") {
		t.Errorf("not at the end of\n%s", text)
	}
}

func TestOnlyGoalsStandBetweenTheMarks(t *testing.T) {
	scaled := part("scale", "2", true)
	scaled.Rows = append(scaled.Rows, scenario.Row{What: "told", Measured: "7"})
	scaled.Command = "cargo x cluster measure scale"
	text, err := replace("above\n"+begin+"\nold\n"+end+"\nbelow\n", Goals([]Part{scaled}))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(text, "above\n"+begin+"\n| scenario |") || !strings.HasSuffix(text, "\n"+end+"\nbelow\n") {
		t.Errorf("the marks are not where they were:\n%s", text)
	}
	if !strings.Contains(text, `| scale | a\|b | 2 | 0 | met |`) || !strings.Contains(text, "`cargo x cluster measure scale`") {
		t.Errorf("the goal or the command is not there:\n%s", text)
	}
	if strings.Contains(text, "told") || strings.Contains(text, "old\n") {
		t.Errorf("what has no goal, or is old, is there:\n%s", text)
	}
	if _, err := replace("no marks\n", ""); err == nil {
		t.Error("a file without marks was written")
	}
}

func TestCommandsLeaveOutPaths(t *testing.T) {
	for _, row := range []struct {
		args []string
		want string
	}{
		{[]string{"-weft", "/a/weft", "-kinds=/b", "-rate", "50", "-write", "/c", "-keep", "kill"}, "cargo x cluster measure kill -- -rate=50"},
		{[]string{"-only-failures", "-results", "/d", "kill"}, "cargo x cluster measure kill -- -only-failures=true"},
		{[]string{"edits", "kill"}, "cargo x cluster measure edits kill"},
	} {
		if got := command(row.args); got != row.want {
			t.Errorf("%v is %q, want %q", row.args, got, row.want)
		}
	}
}
