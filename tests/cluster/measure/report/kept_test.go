package report

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// The figures with goals stand in two files of the repository, which say the same.
func TestResultsSayWhatTheReportSays(t *testing.T) {
	text, err := os.ReadFile("../../reports/measure.json")
	if err != nil {
		t.Fatal(err)
	}
	var parts []Part
	if err := json.Unmarshal(text, &parts); err != nil {
		t.Fatal(err)
	}
	results, err := os.ReadFile("../../../bench/RESULTS.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(results), begin+"\n"+Goals(parts)+end+"\n") {
		t.Error("tests/bench/RESULTS.md has other figures than tests/cluster/reports: give --write and --results together")
	}
}
