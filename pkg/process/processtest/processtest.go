// Package processtest has what tests need that start programs.
package processtest

import (
	"os"
	"syscall"
	"testing"
)

// WriteProgram writes a program or a script that a test starts. A process that another test forks while the file is open for writing would
// hold it open too, and exec would answer ETXTBSY.
func WriteProgram(t testing.TB, name, program string) {
	t.Helper()
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	if err := os.WriteFile(name, []byte(program), 0o755); err != nil {
		t.Fatal(err)
	}
}
