package main

import "golang.org/x/sys/unix"

// oldForks are calls that newer architectures do not have. vfork is not tried: it would run on this program's stack.
var oldForks = []struct {
	name string
	trap uintptr
}{{"fork", unix.SYS_FORK}}
