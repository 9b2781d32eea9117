package confine

import "golang.org/x/sys/unix"

// isFork reports whether a call starts a process, other than clone(2). Newer architectures have no such call.
func isFork(call int32) bool { return call == unix.SYS_FORK || call == unix.SYS_VFORK }
