// Package report keeps what was measured: measure.json with the last run of every scenario, and
// measure.md, which is made of it for people. What has a goal can stand beside the benchmarks too.
package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"weft.dev/cluster/measure/scenario"
)

// Part is one run of one scenario.
type Part struct {
	Scenario string        `json:"scenario"`
	About    string        `json:"about"`
	Began    time.Time     `json:"began"`
	Took     time.Duration `json:"took"`
	// Load is how busy the machine was before, which other work on it decides.
	Load    string         `json:"-"`
	Machine string         `json:"machine"`
	Command string         `json:"command"`
	Images  []string       `json:"images"`
	Rows    []scenario.Row `json:"rows"`
}

// Write puts a part in the place of the last one of its scenario. Where results names a file, the
// block between its marks is made anew from all parts.
func Write(directory, results string, part Part) error {
	if err := os.MkdirAll(directory, 0o755); err != nil {
		return err
	}
	data := filepath.Join(directory, "measure.json")
	var parts []Part
	text, err := os.ReadFile(data)
	switch {
	case errors.Is(err, os.ErrNotExist):
	case err != nil:
		return err
	default:
		if err := json.Unmarshal(text, &parts); err != nil {
			return fmt.Errorf("%s: %w", data, err)
		}
	}
	part.Machine, part.Command = machine(), command(os.Args[1:])
	part.Machine += ", load average " + part.Load
	part.Began = part.Began.UTC().Truncate(time.Second)
	parts = merge(parts, part)
	if text, err = json.MarshalIndent(parts, "", "  "); err != nil {
		return err
	}
	err = errors.Join(
		os.WriteFile(data, append(text, '\n'), 0o644),
		os.WriteFile(filepath.Join(directory, "measure.md"), []byte(Render(parts)), 0o644),
	)
	if results != "" {
		err = errors.Join(err, writeGoals(results, parts))
	}
	return err
}

// merge replaces the part of the same scenario, and keeps the order of the list of scenarios.
func merge(parts []Part, part Part) []Part {
	parts = slices.DeleteFunc(parts, func(p Part) bool { return p.Scenario == part.Scenario })
	place := func(p Part) int {
		return slices.IndexFunc(scenario.All, func(s scenario.Scenario) bool { return s.Name == p.Scenario })
	}
	parts = append(parts, part)
	slices.SortStableFunc(parts, func(a, b Part) int { return place(a) - place(b) })
	return parts
}

// Render writes parts as Markdown.
func Render(parts []Part) string {
	var text strings.Builder
	text.WriteString("# Results of `cargo x cluster measure`\n\nWritten by the command; `measure.json` has the same.\n")
	for _, part := range parts {
		fmt.Fprintf(&text, "\n## %s: %s\n\n", part.Scenario, part.About)
		fmt.Fprintf(&text, "%s, %s, on %s, by `%s`; images: %s\n\n", part.Began.Format("2006-01-02 15:04 UTC"),
			part.Took.Round(time.Second), part.Machine, part.Command, strings.Join(part.Images, ", "))
		text.WriteString("| what | measured | goal | verdict |\n|---|---|---|---|\n")
		for _, row := range part.Rows {
			fmt.Fprintf(&text, "| %s | %s | %s | %s |\n", cell(row.What), cell(row.Measured), cell(row.Goal), verdict(row))
		}
		writeExamples(&text, part.Rows)
	}
	return text.String()
}

// writeExamples lists failures that were kept, figure by figure.
func writeExamples(text *strings.Builder, rows []scenario.Row) {
	for _, row := range rows {
		if len(row.Examples) > 0 {
			fmt.Fprintf(text, "\n%s, for example:\n\n", row.What)
			for _, example := range row.Examples {
				fmt.Fprintf(text, "- `%s`\n", strings.ReplaceAll(example, "`", "'"))
			}
		}
	}
}

func verdict(row scenario.Row) string {
	switch {
	case row.Met == nil:
		return ""
	case *row.Met:
		return "met"
	default:
		return "**missed**"
	}
}

// cell is text that stays within a cell of a table.
func cell(text string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ").Replace(text)
}

// command is how a person would ask for the same, without the paths of one machine.
func command(args []string) string {
	var flags, scenarios []string
	for i := 0; i < len(args); i++ {
		if !strings.HasPrefix(args[i], "-") {
			scenarios = append(scenarios, args[i])
			continue
		}
		name, value, hasValue := strings.Cut(strings.TrimLeft(args[i], "-"), "=")
		if !hasValue && name == "only-failures" {
			value = "true"
		} else if !hasValue && name != "keep" {
			i++
			value = args[i]
		}
		switch name {
		case "weft", "kinds", "write", "results", "keep":
		default:
			flags = append(flags, "-"+name+"="+value)
		}
	}
	words := append([]string{"cargo x cluster measure"}, scenarios...)
	if len(flags) > 0 {
		words = append(append(words, "--"), flags...)
	}
	return strings.Join(words, " ")
}

// LoadAverage is that of the last minute.
func LoadAverage() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	first, _, _ := strings.Cut(string(text), " ")
	return first
}

func machine() string {
	memory := "?"
	if text, err := os.ReadFile("/proc/meminfo"); err == nil {
		var kib int
		if _, err := fmt.Sscanf(string(text), "MemTotal: %d kB", &kib); err == nil {
			memory = fmt.Sprint(kib >> 20)
		}
	}
	return fmt.Sprintf("%d cores, %s GiB", runtime.NumCPU(), memory)
}
