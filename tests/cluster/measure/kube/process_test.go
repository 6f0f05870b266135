package kube

import (
	"testing"
	"time"
)

func TestCPUIsReadAfterTheName(t *testing.T) {
	stat := "42 (a ) b) S 1 42 42 0 -1 4194560 100 0 0 0 150 50 0 0 20 0 4 0 1000 1 1 1"
	got, err := parseCPU(stat)
	if err != nil || got != 2*time.Second {
		t.Errorf("%s, %v; want 2 s", got, err)
	}
	if _, err := parseCPU("42 (a) S 1"); err == nil {
		t.Error("a short line gave a figure")
	}
}

func TestMemoryIsSplitByWhoPaysForIt(t *testing.T) {
	own, mapped := parseMemory("Name:\tweft\nVmRSS:\t  9216 kB\nRssAnon:\t  2048 kB\nRssFile:\t  6144 kB\nRssShmem:\t  1024 kB\n")
	if own != 3 || mapped != 6 {
		t.Errorf("%.1f own and %.1f mapped, want 3 and 6", own, mapped)
	}
}
