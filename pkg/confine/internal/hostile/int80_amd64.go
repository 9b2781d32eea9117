package main

// int80 makes a system call by the interface of 32-bit programs, whose numbers are others.
func int80(trap, a, b, c uint32) int32

// otherInterfaces are the two other ways into an x86-64 kernel: a filter that knows only the usual numbers lets them pass.
func otherInterfaces() {
	const (
		getpid32  = 20
		socket32  = 359
		x32       = 0x40000000
		getpidX32 = x32 | 39
		socketX32 = x32 | 41
	)
	attempt("getpid by int 0x80", errnoOf(int64(int80(getpid32, 0, 0, 0))))
	attempt("socket by int 0x80", errnoOf(int64(int80(socket32, 2, 1, 0))))
	attempt("getpid by x32", call(getpidX32))
	attempt("socket by x32", call(socketX32, 2, 1, 0))
}
