package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/sumo-k8/sumo-k8/infra/images/oci"
	"github.com/sumo-k8/sumo-k8/infra/sumo/wheel"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/release"
)

// user is who runs in our containers: nobody that Debian knows, by the number that is customary for such images.
const user = "65532:65532"

const module = "github.com/sumo-k8/sumo-k8/"

// suite is the Debian that files come from, except where a SUMO of Debian's decides it. The Go in functions knows only the bundle of
// authorities, and SUMO's wheels want any C library since 2.28, so any Debian would do: the newest.
const suite = "trixie"

// recipe is how one image is made.
type recipe struct {
	name   string // under which clusters know it
	suite  string // of Debian
	source string // of files from Debian
	sumo   string // the version of SUMO that it holds, if any
	wheel  bool   // whether that SUMO is a wheel's; otherwise it is among the files from Debian
	// python is what programs of a scenario run with; its zero value stands for none.
	python wheel.Python
	// programs are the packages of our programs in this module. The first one is the image's entry point.
	programs []string
	env      []string
}

var runPrograms = []string{"pkg/sumo/sumo-run", "pkg/confine/sumo-wall", "pkg/keeper/sumo-keeper"}

const title = "org.opencontainers.image.title"

// recipesFor returns the recipes of the functions and of these versions of SUMO. The images' registry, dev.local, does not exist:
// they are loaded into a node, and a cluster that asks a registry for them fails at once.
func recipesFor(versions []release.Release) []recipe {
	recipes := []recipe{{name: "dev.local/functions:dev", suite: suite, source: "functions", programs: []string{"functions"}}}
	for _, r := range versions {
		recipes = append(recipes, recipe{
			name: "dev.local/sumo:" + r.Version, suite: suite, source: "sumo", sumo: r.Version, wheel: true,
			programs: runPrograms, env: sumoEnv(release.In(installations, r.Version)),
		})
	}
	return recipes
}

// packaged are versions of SUMO that are no longer on offer, by the Debian that has them: tenants of earlier releases may need their
// numbers. They are only built by name.
var packaged = map[string]string{"1.15": "bookworm"}

func packagedRecipe(version string) recipe {
	return recipe{
		name: "dev.local/sumo:" + version, suite: packaged[version], source: "debian-sumo", sumo: version, programs: runPrograms,
		env: sumoEnv(release.Installation{Version: version, Binary: "/usr/bin/sumo", Home: "/usr/share/sumo"}),
	}
}

// sumoEnv is what the Dockerfiles say too.
func sumoEnv(sumo release.Installation) []string {
	return []string{"PATH=/usr/bin", "SUMO_BINARY=" + sumo.Binary, "SUMO_HOME=" + sumo.Home, "SUMO_VERSION=" + sumo.Version, "LC_ALL=C.UTF-8"}
}

// file is the name of the image's archive.
func (r recipe) file() string {
	_, name, _ := strings.Cut(r.name, "/")
	return strings.ReplaceAll(name, ":", "-") + ".tar"
}

// tagged is the image's name behind its registry, with the tag of a release: nodes keep images by their names, so each release
// needs names of its own. SUMO's keeps the version of SUMO before it.
func (r recipe) tagged(release string) string {
	_, name, _ := strings.Cut(r.name, "/")
	repository, tag, _ := strings.Cut(name, ":")
	switch {
	case release == "":
		return name
	case r.sumo != "":
		return repository + ":" + tag + "-" + release
	}
	return repository + ":" + release
}

// fromDebian is a layer of files from Debian, which images share.
type fromDebian struct {
	suite, source string
	holds         string // how the name and version of a package begin that must be in it
}

// fromDebian returns the image's layers from Debian, the lowest first.
func (r recipe) fromDebian() []fromDebian {
	layers := []fromDebian{{suite: r.suite, source: r.source}}
	if !r.wheel && r.sumo != "" {
		layers[0].holds = "sumo " + r.sumo + "."
	}
	if r.python.Minor > 0 {
		layers = append(layers, fromDebian{r.suite, "python", fmt.Sprintf("python3.%d-minimal ", r.python.Minor)})
	}
	return layers
}

type builder struct {
	out     string // folder of the archives
	cache   string // folder of what comes from Debian
	sumo    string // folder of the installed versions of SUMO
	recipes []recipe
	refresh bool
	// requirements is a file that names packages to add for programs; empty for none.
	requirements string
	mirror       func(context.Context) (mirror, error)
	log          io.Writer
}

// build makes all images. It gets SUMO and Debian's packages while it compiles our programs.
func (b builder) build(ctx context.Context) error {
	programs := filepath.Join(b.out, "programs")
	if err := os.MkdirAll(programs, 0o755); err != nil {
		return err
	}
	if err := os.MkdirAll(b.cache, 0o755); err != nil {
		return err
	}
	unlock, err := lock(filepath.Join(b.cache, "lock"))
	if err != nil {
		return err
	}
	defer unlock()
	var packages, wheels []string
	var wanted []fromDebian
	for _, r := range b.recipes {
		for _, pkg := range r.programs {
			if !slices.Contains(packages, module+pkg) {
				packages = append(packages, module+pkg)
			}
		}
		for _, layer := range r.fromDebian() {
			if !slices.Contains(wanted, layer) {
				wanted = append(wanted, layer)
			}
		}
		if r.wheel {
			wheels = append(wheels, r.sumo)
		}
	}
	making, stop := errgroup.WithContext(ctx)
	making.Go(func() error { return compile(stop, programs, packages...) })
	if len(wheels) > 0 {
		making.Go(func() error { return b.install(stop, wheels) })
	}
	layers := make([]string, len(wanted))
	for n, layer := range wanted {
		making.Go(func() (err error) {
			if layers[n], err = b.debian(stop, layer); err != nil {
				return fmt.Errorf("making the layer of %s: %w", layer.source, err)
			}
			return nil
		})
	}
	if err := making.Wait(); err != nil {
		return err
	}
	made, err := os.MkdirTemp("", "images-bytecode")
	if err != nil {
		return err
	}
	defer os.RemoveAll(made)
	parts := make([]contents, len(b.recipes))
	for n, r := range b.recipes {
		for _, layer := range r.fromDebian() {
			parts[n].debian = append(parts[n].debian, layers[slices.Index(wanted, layer)])
		}
		if err := b.collect(ctx, r, &parts[n], made); err != nil {
			return fmt.Errorf("making the image %s: %w", r.name, err)
		}
	}
	var writing errgroup.Group
	for n, r := range b.recipes {
		writing.Go(func() error {
			archive := filepath.Join(b.out, r.file())
			digest, err := r.image(parts[n], programs).WriteFile(archive)
			if err != nil {
				return err
			}
			info, err := os.Stat(archive)
			if err != nil {
				return err
			}
			fmt.Fprintf(b.log, "%-24s %4d MB  %s  %s\n", r.name, info.Size()/1e6, digest, archive)
			return nil
		})
	}
	return writing.Wait()
}

// install installs versions of SUMO, and what the images for programs take of wheels.
func (b builder) install(ctx context.Context, versions []string) error {
	if err := wheel.Install(ctx, b.sumo, b.log, versions...); err != nil {
		return err
	}
	for _, r := range b.recipes {
		if r.python.Minor == 0 {
			continue
		}
		sumo, _ := release.Find(r.sumo) // it was on offer when the recipe was made
		if err := wheel.Packages(ctx, b.sumo, b.log, r.python, []release.Release{sumo}); err != nil {
			return err
		}
	}
	return nil
}

// contents are what an image holds beside our programs.
type contents struct {
	debian   []string   // the files of its layers from Debian
	sumo     []oci.File // of SUMO's wheel
	packages string     // the file of the layer with the packages that programs share
	tools    []oci.File // what programs need of this version of SUMO
	added    []oci.File // the operator's own packages
}

// collect finds what the image holds of wheels. Bytecode goes into the folder made.
func (b builder) collect(ctx context.Context, r recipe, c *contents, made string) (err error) {
	if r.wheel {
		if c.sumo, err = sumoFiles(b.sumo, r.sumo, c.debian[0]); err != nil {
			return err
		}
	}
	if r.python.Minor == 0 {
		return nil
	}
	if c.packages, err = b.packagesLayer(ctx, r.python, c.debian); err != nil {
		return err
	}
	root, err := unpackLayers(ctx, c.debian...)
	if err != nil {
		return err
	}
	defer os.RemoveAll(root)
	if c.tools, err = (compiler{root, r.python}).tools(ctx, b.sumo, r.sumo, made); err != nil || b.requirements == "" {
		return err
	}
	folder := filepath.Join(made, r.sumo)
	if err := os.Mkdir(folder, 0o755); err != nil {
		return err
	}
	if err := wheel.Added(ctx, folder, b.log, r.python, b.requirements); err != nil {
		return err
	}
	c.added, err = compiler{root, r.python}.added(ctx, folder, made)
	return err
}

// image puts what changes least into the lowest layer: Debian's files, then those of SUMO's wheel, if any, then what programs of scenarios
// run with, if it is for those, then our programs, which are taken from a folder. So images for programs share the layers of those without.
func (r recipe) image(c contents, programs string) oci.Image {
	var layers []oci.Layer
	for _, name := range c.debian {
		layers = append(layers, oci.Tar(name))
	}
	if r.wheel {
		layers = slices.Insert(layers, min(1, len(layers)), oci.Files(c.sumo...))
	}
	if r.python.Minor > 0 {
		layers = append(layers, oci.Tar(c.packages), oci.Files(c.tools...))
	}
	env := r.env
	if len(c.added) > 0 {
		layers = append(layers, oci.Files(c.added...))
		env = slices.Clone(env)
		env[len(env)-1] += string(filepath.ListSeparator) + addedFolder // of SUMO_PYTHONPATH
	}
	var own []oci.File
	for _, pkg := range r.programs {
		name := path.Base(pkg)
		own = append(own, oci.File{Path: "/usr/bin/" + name, Mode: 0o755, Source: filepath.Join(programs, name)})
	}
	return oci.Image{
		Name:         r.name,
		Architecture: runtime.GOARCH,
		User:         user,
		Entrypoint:   []string{own[0].Path},
		Env:          env,
		Labels:       map[string]string{title: path.Base(r.programs[0])},
		Layers:       append(layers, oci.Files(own...)),
	}
}

// compile builds programs of ours into the folder out, static and the same from every folder and commit with the same sources.
func compile(ctx context.Context, out string, packages ...string) error {
	args := []string{"build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w -buildid=", "-o", out + string(filepath.Separator)}
	cmd := exec.CommandContext(ctx, "go", append(args, packages...)...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+runtime.GOARCH)
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building %s: %w\n%s", strings.Join(packages, ", "), err, output)
	}
	return nil
}
