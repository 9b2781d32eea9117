package problem

import (
	"fmt"
	"runtime/debug"
)

// Contain turns a panic into err; it is to be deferred. net/http does so for handlers only: in a goroutine of our own, a panic over what
// one tenant has sent would end the process, and with it the work of every other tenant.
func Contain(err *error) {
	if cause := recover(); cause != nil {
		*err = fmt.Errorf("panic: %v\n%s", cause, debug.Stack())
	}
}
