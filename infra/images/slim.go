package main

import (
	"bufio"
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sumo-k8/sumo-k8/infra/images/oci"
)

// slim chooses, from the Debian system below root, the wanted files and folders, the shared libraries that the programs
// among them need, and what the packages that all these come from must include: their licences, and their entries in
// dpkg's status, by which scanners find out what an image holds.
func slim(root string, wanted []string) ([]oci.File, error) {
	c := chooser{root: root, files: map[string]oci.File{}, opened: map[string]bool{}}
	if err := c.readPackages(); err != nil {
		return nil, err
	}
	for _, pattern := range wanted {
		names, err := fs.Glob(os.DirFS(root), strings.TrimPrefix(pattern, "/"))
		if err != nil {
			return nil, err
		}
		if len(names) == 0 {
			return nil, fmt.Errorf("there is no %s", pattern)
		}
		for _, name := range names {
			if err := c.addTree("/" + name); err != nil {
				return nil, err
			}
		}
	}
	if err := c.addPackages(); err != nil {
		return nil, err
	}
	files := make([]oci.File, 0, len(c.files))
	for _, f := range c.files {
		files = append(files, f)
	}
	return files, nil
}

// wantedFiles reads a list of files: one absolute path or pattern a line, with comments and empty lines.
func wantedFiles(list string) []string {
	var names []string
	for line := range strings.Lines(list) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			names = append(names, line)
		}
	}
	return names
}

type chooser struct {
	root   string
	files  map[string]oci.File
	opened map[string]bool     // programs and libraries whose needs are met
	owners map[string][]string // the packages of each path that one of them lists
	status map[string]string   // the entry of each package in dpkg's status
}

// addTree adds what stands at name, and all below it when that is a folder.
func (c *chooser) addTree(name string) error {
	place, info, err := c.add(name)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return c.addNeeds(place)
	}
	entries, err := os.ReadDir(c.host(place))
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := c.addTree(path.Join(place, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// maxLinks is how many symbolic links a path may lead through, as in Linux.
const maxLinks = 40

// add adds what stands at name with every symbolic link that leads to it, and returns where it really stands. Links are
// followed within root, whatever they would mean on this machine.
func (c *chooser) add(name string) (place string, info fs.FileInfo, err error) {
	place = "/"
	rest := strings.Split(strings.Trim(path.Clean(name), "/"), "/")
	for links := 0; len(rest) > 0; {
		at := path.Join(place, rest[0])
		if info, err = os.Lstat(c.host(at)); err != nil {
			return "", nil, fmt.Errorf("looking for %s: %w", name, err)
		}
		rest = rest[1:]
		switch {
		case info.Mode()&fs.ModeSymlink != 0:
			if links++; links > maxLinks {
				return "", nil, fmt.Errorf("%s leads through too many symbolic links", name)
			}
			target, err := os.Readlink(c.host(at))
			if err != nil {
				return "", nil, err
			}
			c.files[at] = oci.File{Path: at, Mode: fs.ModeSymlink, Link: target}
			if path.IsAbs(target) {
				place = "/"
			}
			rest = append(strings.Split(strings.Trim(path.Clean(target), "/"), "/"), rest...)
		case at == "/":
			place = at // which every image has
		case info.IsDir():
			c.files[at] = oci.File{Path: at, Mode: fs.ModeDir | 0o755}
			place = at
		case info.Mode().IsRegular() && len(rest) == 0:
			// Only what everybody may do: an image needs no file that is one user's, and no program that changes user.
			mode := fs.FileMode(0o644)
			if info.Mode().Perm()&0o100 != 0 {
				mode = 0o755
			}
			c.files[at] = oci.File{Path: at, Mode: mode, Source: c.host(at)}
			place = at
		default:
			return "", nil, fmt.Errorf("%s is of type %s, which no image can hold there", at, info.Mode().Type())
		}
	}
	return place, info, nil
}

func (c *chooser) host(name string) string { return filepath.Join(c.root, filepath.FromSlash(name)) }

// addNeeds adds the loader and the shared libraries that a program or library needs, and what these need.
func (c *chooser) addNeeds(name string) error {
	if c.opened[name] {
		return nil
	}
	c.opened[name] = true
	file, err := os.Open(c.host(name))
	if err != nil {
		return err
	}
	defer file.Close()
	magic := make([]byte, len(elf.ELFMAG))
	if _, err := file.ReadAt(magic, 0); err != nil || string(magic) != elf.ELFMAG {
		return nil // no program: too short or something else
	}
	program, err := elf.NewFile(file)
	if err != nil {
		return fmt.Errorf("reading the program %s: %w", name, err)
	}
	for _, p := range program.Progs {
		if p.Type != elf.PT_INTERP {
			continue
		}
		loader := make([]byte, p.Filesz)
		if _, err := p.ReadAt(loader, 0); err != nil {
			return fmt.Errorf("reading the loader's name in %s: %w", name, err)
		}
		if _, _, err := c.add(string(bytes.TrimRight(loader, "\x00"))); err != nil {
			return err
		}
	}
	libraries, err := program.ImportedLibraries()
	if err != nil {
		return fmt.Errorf("reading the libraries that %s needs: %w", name, err)
	}
	folders, err := c.searchPath(name, program)
	if err != nil {
		return err
	}
	for _, library := range libraries {
		if err := c.addLibrary(library, folders); err != nil {
			return fmt.Errorf("%s needs %s: %w", name, library, err)
		}
	}
	return nil
}

// searchPath lists the folders in which the loader looks for the libraries of a program: those that the program names,
// and those built into Debian's loader. There is no /etc/ld.so.cache in the image, and no need of one.
func (c *chooser) searchPath(name string, program *elf.File) ([]string, error) {
	var folders []string
	for _, tag := range []elf.DynTag{elf.DT_RUNPATH, elf.DT_RPATH} {
		values, err := program.DynString(tag)
		if err != nil {
			return nil, fmt.Errorf("reading the library folders of %s: %w", name, err)
		}
		for _, value := range values {
			for _, folder := range strings.Split(value, ":") {
				folders = append(folders, strings.NewReplacer("$ORIGIN", path.Dir(name), "${ORIGIN}", path.Dir(name)).Replace(folder))
			}
		}
	}
	triplet, ok := map[elf.Machine]string{elf.EM_X86_64: "x86_64-linux-gnu", elf.EM_AARCH64: "aarch64-linux-gnu"}[program.Machine]
	if !ok {
		return nil, fmt.Errorf("%s is for %s, whose library folders are not known here", name, program.Machine)
	}
	return append(folders, "/lib/"+triplet, "/usr/lib/"+triplet, "/lib", "/usr/lib"), nil
}

func (c *chooser) addLibrary(library string, folders []string) error {
	for _, folder := range folders {
		// Lstat may go through a link such as lib → usr/lib; add follows it again, strictly within root.
		if _, err := os.Lstat(c.host(path.Join(folder, library))); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		place, _, err := c.add(path.Join(folder, library))
		if err != nil {
			return err
		}
		return c.addNeeds(place)
	}
	return fmt.Errorf("it is not in %s", strings.Join(folders, ", "))
}

// readPackages reads dpkg's lists of files and its status.
func (c *chooser) readPackages() error {
	// No list has the bundle of authorities, since a script of the package makes it.
	c.owners = map[string][]string{"/etc/ssl/certs/ca-certificates.crt": {"ca-certificates"}}
	c.status = map[string]string{}
	lists, err := filepath.Glob(c.host("/var/lib/dpkg/info/*.list"))
	if err != nil {
		return err
	}
	for _, list := range lists {
		name, _, _ := strings.Cut(strings.TrimSuffix(filepath.Base(list), ".list"), ":") // libc6:amd64.list
		if err := eachLine(list, func(line string) {
			if file := unmerged(strings.TrimSuffix(line, "/")); file != "" {
				c.owners[file] = append(c.owners[file], name)
			}
		}); err != nil {
			return err
		}
	}
	var entry strings.Builder
	var name string
	finish := func() {
		if name != "" {
			c.status[name] = entry.String()
		}
		name = ""
		entry.Reset()
	}
	err = eachLine(c.host("/var/lib/dpkg/status"), func(line string) {
		if line == "" {
			finish()
			return
		}
		if value, ok := strings.CutPrefix(line, "Package: "); ok {
			name = value
		}
		entry.WriteString(line + "\n")
	})
	finish()
	return err
}

// unmerged returns where a file stands whose package still speaks of /bin or /lib, which are links into /usr.
func unmerged(name string) string {
	for _, dir := range mergedFolders {
		if strings.HasPrefix(name, "/"+dir+"/") {
			return "/usr" + name
		}
	}
	return name
}

// mergedFolders are links into /usr on today's Debian.
var mergedFolders = []string{"bin", "lib", "lib64", "sbin"}

// addPackages adds licence and status of every package that a chosen file comes from.
func (c *chooser) addPackages() error {
	packages := map[string]bool{}
	var pending []string
	note := func() {
		for name, f := range c.files {
			if f.Mode.IsDir() || path.Dir(name) == "/" {
				continue // folders, and links in place of folders such as /lib, belong to many
			}
			for _, p := range c.owners[name] {
				if !packages[p] {
					packages[p] = true
					pending = append(pending, p)
				}
			}
		}
	}
	// A licence may stand in another package, to which that one's folder of documents is a link.
	for note(); len(pending) > 0; note() {
		for _, p := range pending {
			if _, _, err := c.add("/usr/share/doc/" + p + "/copyright"); err != nil {
				return fmt.Errorf("the licence of package %s: %w", p, err)
			}
			entry, there := c.status[p]
			if !there {
				return fmt.Errorf("package %s has no entry in dpkg's status", p)
			}
			name := "/var/lib/dpkg/status.d/" + p
			c.files[name] = oci.File{Path: name, Mode: 0o644, Data: []byte(entry)}
		}
		pending = nil
	}
	if len(packages) == 0 {
		return errors.New("the files come from no package that dpkg knows")
	}
	return nil
}

func eachLine(name string, do func(string)) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		do(lines.Text())
	}
	return lines.Err()
}

// packageVersions lists the packages in what slim chose, each as name and version.
func packageVersions(files []oci.File) []string {
	var found []string
	for _, f := range files {
		if !strings.HasPrefix(f.Path, "/var/lib/dpkg/status.d/") {
			continue
		}
		for line := range strings.Lines(string(f.Data)) {
			if version, ok := strings.CutPrefix(line, "Version: "); ok {
				found = append(found, path.Base(f.Path)+" "+strings.TrimSpace(version))
			}
		}
	}
	slices.Sort(found)
	return found
}
