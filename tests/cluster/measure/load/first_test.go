package load

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

func TestGoesFirstUntilItDoesNot(t *testing.T) {
	policy := func() uint32 {
		attributes, err := unix.SchedGetAttr(os.Getpid(), 0)
		if err != nil {
			t.Fatal(err)
		}
		return attributes.Policy
	}
	later, err := First()
	if err != nil {
		t.Skip("this takes root or CAP_SYS_NICE: ", err)
	}
	if policy() != unix.SCHED_FIFO {
		t.Error("it goes as others do")
	}
	if err := later(); err != nil {
		t.Error(err)
	}
	if policy() != unix.SCHED_NORMAL {
		t.Error("it still goes first")
	}
}
