package main

import (
	"context"
	"crypto/sha256"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"github.com/gofrs/flock"

	"github.com/sumo-k8/sumo-k8/infra/images/oci"
)

// inputs is everything here that decides what a layer from Debian holds.
//
//go:embed slim.go debian.go hook.sh *.packages *.files
var inputs embed.FS

// source is what an image takes from Debian.
type source struct {
	packages []string
	files    []string
}

var sources = map[string]source{
	"sumo": readSource("sumo"), "debian-sumo": readSource("debian-sumo"), "functions": readSource("functions"),
	"python": readSource("python"),
}

func readSource(name string) source {
	packages, files := mustRead(name+".packages"), mustRead(name+".files")
	return source{packages: strings.Fields(packages), files: wantedFiles(files)}
}

func mustRead(name string) string {
	b, err := inputs.ReadFile(name)
	if err != nil {
		panic(err) // it is embedded
	}
	return string(b)
}

// writeLayer writes the source's layer from the Debian system below root.
func (s source) writeLayer(root, name string) error {
	files, err := slim(root, s.files)
	if err != nil {
		return err
	}
	for _, p := range packageVersions(files) {
		fmt.Println(p)
	}
	return writeLayer(files, name)
}

func writeLayer(files []oci.File, name string) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := oci.WriteLayer(f, oci.Files(files...)); err != nil {
		return err
	}
	return f.Close()
}

// debian returns the file of a layer from Debian: from the cache when it is there. A list of the packages in it is next to it.
func (b builder) debian(ctx context.Context, r fromDebian) (string, error) {
	key, err := cacheKey(r.source)
	if err != nil {
		return "", err
	}
	layer := filepath.Join(b.cache, fmt.Sprintf("%s-%s-%s.tar", r.source, r.suite, key))
	info, err := os.Stat(layer)
	if err == nil && !b.refresh {
		fmt.Fprintf(b.log, "%-24s Debian's packages of %s are in %s\n", r.source, info.ModTime().Format("2 January 2006"), layer)
		return layer, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	fmt.Fprintf(b.log, "%-24s unpacking Debian's packages, about a minute: %s\n", r.source, strings.Join(sources[r.source].packages, " "))
	list := strings.TrimSuffix(layer, ".tar") + ".txt"
	from, err := b.mirror(ctx)
	if err != nil {
		return "", err
	}
	packages, err := bootstrap(ctx, r, from, layer+".new")
	if err != nil {
		return "", err
	}
	if r.holds != "" && !slices.ContainsFunc(packages, func(p string) bool { return strings.HasPrefix(p, r.holds) }) {
		return "", fmt.Errorf("no %[2]s in Debian %[1]s: its packages are %[3]s", r.suite, r.holds, strings.Join(packages, ", "))
	}
	if err := os.WriteFile(list, []byte(strings.Join(packages, "\n")+"\n"), 0o644); err != nil {
		return "", err
	}
	return layer, os.Rename(layer+".new", layer)
}

// cacheKey changes with whatever may change the layer, except Debian's own updates.
func cacheKey(source string) (string, error) {
	sum := sha256.New()
	fmt.Fprintln(sum, runtime.GOARCH, oci.Source)
	for _, name := range []string{"slim.go", "debian.go", "hook.sh", source + ".packages", source + ".files"} {
		content, err := inputs.ReadFile(name)
		if err != nil {
			return "", err
		}
		fmt.Fprintln(sum, name, len(content))
		sum.Write(content)
	}
	return fmt.Sprintf("%s-%x", runtime.GOARCH, sum.Sum(nil)[:8]), nil
}

// bootstrap makes the layer with mmdebstrap, which gets the packages from a mirror, checks Debian's signatures and unpacks
// them in a folder of its own. No script of a package runs. It returns the packages that the layer holds files of.
func bootstrap(ctx context.Context, r fromDebian, from mirror, layer string) ([]string, error) {
	mmdebstrap, err := exec.LookPath("mmdebstrap")
	if err != nil {
		return nil, errors.New("mmdebstrap is missing: install it on Debian or Ubuntu with apt-get install mmdebstrap, " +
			"or build with the Dockerfiles in infra/images")
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "images-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	hook := filepath.Join(dir, "hook.sh")
	if err := os.WriteFile(hook, []byte(mustRead("hook.sh")), 0o644); err != nil {
		return nil, err
	}
	// Without root, hooks run as a user of mmdebstrap's own namespace, who reads and writes nothing of ours. So what the
	// hooks need goes into the folder, and the result is fetched from there, by mmdebstrap's own commands.
	packages := filepath.Join(dir, "packages")
	args := []string{
		"--quiet", "--variant=extract", "--format=null", "--include=" + strings.Join(sources[r.source].packages, ","),
		"--setup-hook=for d in " + strings.Join(mergedFolders, " ") + `; do mkdir -p "$1/usr/$d" && ln -s "usr/$d" "$1/$d"; done`,
		"--extract-hook=upload " + quote(hook) + " /hook.sh",
		"--extract-hook=upload " + quote(self) + " /images",
		`--extract-hook=sh "$1/hook.sh" "$1"`,
		`--extract-hook=chmod +x "$1/images" && "$1/images" slim ` + r.source + ` "$1" "$1/layer.tar" >"$1/packages.txt"`,
		"--extract-hook=download /layer.tar " + quote(layer),
		"--extract-hook=download /packages.txt " + quote(packages),
		r.suite, "/dev/null",
	}
	cmd := exec.CommandContext(ctx, mmdebstrap, append(args, from.lines(r.suite)...)...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) } // it then removes its folder
	if output, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("mmdebstrap: %w\n%s", err, output)
	}
	list, err := os.ReadFile(packages)
	if err != nil {
		return nil, err
	}
	return strings.Split(strings.TrimSpace(string(list)), "\n"), nil
}

// quote keeps a file name in one piece in a hook, whose words mmdebstrap splits as a shell does.
func quote(name string) string { return "'" + strings.ReplaceAll(name, "'", `'\''`) + "'" }

// lock waits until no other build uses the cache; the end of this process unlocks it too.
func lock(name string) (unlock func(), err error) {
	l := flock.New(name)
	if err := l.Lock(); err != nil {
		return nil, fmt.Errorf("locking %s: %w", name, err)
	}
	return func() { _ = l.Unlock() }, nil // the end of the process releases it in any case
}
