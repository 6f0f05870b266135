package report

import (
	"fmt"
	"os"
	"strings"
)

// What lies between these lines of a file is ours.
const (
	begin = "<!-- cluster:begin (written by `cargo x cluster measure --results`) -->"
	end   = "<!-- cluster:end -->"
)

// writeGoals puts what has a goal between the marks of a file.
func writeGoals(path string, parts []Part) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	made, err := replace(string(text), Goals(parts))
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return os.WriteFile(path, []byte(made), 0o644)
}

// replace exchanges what stands between the marks.
func replace(text, block string) (string, error) {
	before, rest, begun := strings.Cut(text, begin+"\n")
	_, after, ended := strings.Cut(rest, end+"\n")
	if !begun || !ended {
		return "", fmt.Errorf("want the line `%s` and, below it, `%s`", begin, end)
	}
	return before + begin + "\n" + block + end + "\n" + after, nil
}

// Goals writes, as Markdown, the figures that have a goal, and how each scenario was run.
func Goals(parts []Part) string {
	var figures, runs strings.Builder
	figures.WriteString("| scenario | what | measured | goal | verdict |\n|---|---|---|---|---|\n")
	runs.WriteString("| scenario | date | machine | command |\n|---|---|---|---|\n")
	for _, part := range parts {
		for _, row := range part.Rows {
			if row.Met != nil {
				fmt.Fprintf(&figures, "| %s | %s | %s | %s | %s |\n", part.Scenario, cell(row.What), cell(row.Measured), cell(row.Goal), verdict(row))
			}
		}
		fmt.Fprintf(&runs, "| %s | %s | %s | `%s` |\n", part.Scenario, part.Began.Format("2006-01-02 15:04 UTC"), cell(part.Machine), part.Command)
	}
	return figures.String() + "\n" + runs.String()
}
