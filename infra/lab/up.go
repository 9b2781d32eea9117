package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/sumo-k8/sumo-k8/infra/lab/internal/component"
	"github.com/sumo-k8/sumo-k8/infra/lab/internal/daemon"
	"github.com/sumo-k8/sumo-k8/infra/lab/internal/host"
	"github.com/sumo-k8/sumo-k8/infra/local"
)

// packages are the components of infra/debian/install.sh that the lab needs.
var packages = []string{"containerd", "cni", "iptables", "ipset", "postgres"}

// stepper does one step of work and prints its name, how long it took, and the remark that do returns.
type stepper func(name string, do func() (remark string, err error)) error

func printing(out io.Writer) stepper {
	return func(name string, do func() (remark string, err error)) error {
		start := time.Now()
		fmt.Fprintf(out, "%-13s", name)
		remark, err := do()
		if err != nil {
			fmt.Fprintln(out, "failed")
			return fmt.Errorf("%s: %w", name, err)
		}
		fmt.Fprintf(out, "%6.1f s  %s\n", time.Since(start).Seconds(), remark)
		return nil
	}
}

// build makes the missing programs and images. It changes nothing outside the cache, and does not need root.
func build(ctx context.Context, l layout, out io.Writer) error {
	if err := l.findSource(); err != nil {
		return err
	}
	unlock, err := local.Lock(l.cache)
	if err != nil {
		return fmt.Errorf("the lab: %w", err)
	}
	defer unlock()
	_, _, err = buildAll(ctx, l, printing(out))
	return err
}

// buildAll returns the programs and the archives of their images.
func buildAll(ctx context.Context, l layout, step stepper) (p programs, archives []string, err error) {
	goVersion, err := component.GoVersion(ctx, filepath.Join(l.source, "infra", "local", "objectstore"))
	if err != nil {
		return nil, nil, err
	}
	p = programs{}
	for _, c := range l.components() {
		if err := step(c.Name, func() (string, error) {
			dir, built, err := c.Build(ctx, filepath.Join(l.cache, "programs"), goVersion)
			for _, made := range c.Programs {
				p[made.Name] = filepath.Join(dir, made.Name)
			}
			if built {
				return "built", err
			}
			return "built before", err
		}); err != nil {
			return nil, nil, err
		}
	}
	err = step("images", func() (string, error) {
		var written int
		archives, written, err = writeImages(p)
		return fmt.Sprintf("%d written, %d there", written, len(archives)-written), err
	})
	return p, archives, err
}

// up brings the lab from any state to a working one. Every step checks what exists and does only the rest, so that
// up repairs what has failed and costs little when nothing has.
func up(ctx context.Context, l layout, out io.Writer) error {
	if err := l.findSource(); err != nil {
		return err
	}
	unlock, err := local.Lock(l.cache)
	if err != nil {
		return fmt.Errorf("the lab: %w", err)
	}
	defer unlock()
	began := time.Now()
	step := printing(out)
	var secret credentials
	var layers [][]daemon.Spec
	if err := step("packages", func() (string, error) {
		_, err := host.Run(ctx, "", append([]string{filepath.Join(l.source, "infra", "debian", "install.sh")}, packages...)...)
		return strings.Join(packages, ", "), err
	}); err != nil {
		return err
	}
	p, archives, err := buildAll(ctx, l, step)
	if err != nil {
		return err
	}
	for _, s := range []struct {
		name string
		do   func() (string, error)
	}{
		{"machine", func() (string, error) { return address + " on " + bridge, prepare(ctx, l) }},
		{"identities", func() (string, error) {
			if err := errors.Join(certify(l), configure(l)); err != nil {
				return "", err
			}
			if secret, err = openCredentials(l); err != nil {
				return "", err
			}
			layers, err = stages(l, p, secret)
			return "in " + l.run, err
		}},
		{"servers", func() (string, error) { return run(ctx, l, layers[0]) }},
		{"load", func() (string, error) {
			loaded, err := loadImages(ctx, l, archives)
			return fmt.Sprintf("%d images loaded", loaded), err
		}},
		{"API server", func() (string, error) { return run(ctx, l, layers[1]) }},
		{"controllers", func() (string, error) { return run(ctx, l, layers[2]) }},
		{"deployments", func() (string, error) { return deploy(ctx, l, p) }},
		{"policies", func() (string, error) { return run(ctx, l, layers[3]) }},
		{"node", func() (string, error) { return awaitNode(ctx, l, p) }},
		{"rollout", func() (string, error) { return rollout(ctx, l, p) }},
	} {
		if err := step(s.name, s.do); err != nil {
			return err
		}
	}
	link := filepath.Join(l.cache, "kubectl")
	_ = os.Remove(link)
	if err := os.Symlink(p["kubectl"], link); err != nil {
		return err
	}
	fmt.Fprintf(out, `The lab is up after %.0f s.
  export KUBECONFIG=%s PATH=%s:$PATH
  S3, Postgres and their credentials: %s
  Logs: %s
`, time.Since(began).Seconds(), l.kubeconfig(admin), l.cache, l.environment(), l.logs)
	return nil
}

// prepare makes the network and sets up the kernel for it. It is the first step that changes the machine.
func prepare(ctx context.Context, l layout) error {
	if err := os.MkdirAll(l.run, 0o700); err != nil {
		return err
	}
	if err := errors.Join(forgetOtherBoot(l), host.KeepSettings(filepath.Join(l.run, "settings.json"), settings)); err != nil {
		return err
	}
	if l.eventing {
		if err := os.WriteFile(l.eventingMark(), nil, 0o600); err != nil {
			return err
		}
	}
	err := errors.Join(
		host.EnsureBridge(ctx, bridge, address+"/24"),
		host.Set("net.ipv4.ip_forward", "1"),
		// Otherwise packets between two pods bypass the rules that implement Services.
		host.Set("net.bridge.bridge-nf-call-iptables", "1"),
	)
	if err != nil {
		return err
	}
	// Pods reach each other and this machine. Everything else is refused, at once rather than after a timeout.
	_, err = host.Run(ctx, `*filter
:SUMO-K8-LAB - [0:0]
-F SUMO-K8-LAB
-A SUMO-K8-LAB -i `+bridge+` -o `+bridge+` -j ACCEPT
-A SUMO-K8-LAB -i `+bridge+` -j REJECT
-A SUMO-K8-LAB -o `+bridge+` -j REJECT
COMMIT
`, "iptables-restore", "--noflush")
	if err != nil {
		return err
	}
	if _, err := host.Run(ctx, "", "iptables", "--check", "FORWARD", "--jump", "SUMO-K8-LAB"); err != nil {
		_, err = host.Run(ctx, "", "iptables", "--append", "FORWARD", "--jump", "SUMO-K8-LAB")
		return err
	}
	return nil
}

// forgetOtherBoot removes the container runtime's state of containers that ended in an earlier boot.
func forgetOtherBoot(l layout) error {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return err
	}
	file := filepath.Join(l.run, "boot")
	before, err := os.ReadFile(file)
	if err == nil && !bytes.Equal(before, boot) {
		err = errors.Join(os.RemoveAll(l.containerd("state")), os.RemoveAll(l.containerd("runc")))
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.WriteFile(file, boot, 0o600)
}

// run starts the programs that do not run, and waits for all. One that runs but does not answer is restarted once.
func run(ctx context.Context, l layout, specs []daemon.Spec) (remark string, err error) {
	folder := l.daemons()
	var names []string
	for _, s := range specs {
		started, err := folder.Start(ctx, s)
		if err != nil {
			return "", err
		}
		if started {
			names = append(names, s.Name)
			continue
		}
		// It is running already, so it needs a moment to answer, not the time of a start.
		s.Limit = patience
		if folder.Await(ctx, s) == nil {
			continue
		}
		if err := folder.Stop(ctx, s.Name, s.Grace); err != nil {
			return "", err
		}
		if _, err := folder.Start(ctx, s); err != nil {
			return "", err
		}
		names = append(names, s.Name+" (again)")
	}
	for _, s := range specs {
		if err := folder.Await(ctx, s); err != nil {
			return "", err
		}
	}
	if len(names) == 0 {
		return "running before", nil
	}
	return "started " + strings.Join(names, ", "), nil
}

// patience is how long a running program may take to answer before it counts as hanging: a server whose store has
// just been restarted needs a few seconds.
const patience = 20 * time.Second

// awaitNode returns once the node accepts pods.
func awaitNode(ctx context.Context, l layout, p programs) (string, error) {
	err := retry(ctx, func() error {
		_, err := kubectl(ctx, l, p, "", "get", "node", node)
		return err
	})
	if err == nil {
		_, err = kubectl(ctx, l, p, "", "wait", "--for=condition=Ready", "node/"+node, "--timeout=90s")
	}
	return node + " is ready", err
}
