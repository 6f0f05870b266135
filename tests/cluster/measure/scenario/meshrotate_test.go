package scenario

import (
	"slices"
	"testing"
	"time"
)

func TestAControllerIsHurriedAndKeepsItsOtherArguments(t *testing.T) {
	usual := []string{"controller", "--certificate-life=24h", "--log=info"}
	want := []string{"controller", "--log=info", "--certificate-life=10m", "--rotation-dwell=25s"}
	if got := hurried(usual, 25*time.Second); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if usual[1] != "--certificate-life=24h" {
		t.Errorf("what has to come back is now %v", usual)
	}
}
