//go:build !amd64

package confine

func isFork(int32) bool { return false }
