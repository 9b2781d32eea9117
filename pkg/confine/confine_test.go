package confine

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	Enter()
	m.Run()
}

func TestX(t *testing.T) {
	dir := t.TempDir()
	for _, abi := range []int{0, 1, 2, NoLandlock} {
		var out bytes.Buffer
		cmd := exec.Command("/usr/bin/sumo", "--version")
		cmd.Stdout, cmd.Stderr, cmd.Dir = &out, &out, dir
		cmd.Env = []string{"SUMO_HOME=/usr/share/sumo"}
		began := time.Now()
		p, held, err := Start(cmd, Wall{Profile: SUMO, LandlockABI: abi, Read: []string{"/usr/bin/sumo", "/lib", "/lib64", "/usr/lib", "/usr/share/sumo", "/etc/alternatives"}, Write: []string{dir}}, Require)
		if err != nil {
			t.Error(err)
			continue
		}
		err = p.Wait()
		fmt.Println(held, err, time.Since(began), out.String()[:min(out.Len(), 200)], os.Getuid())
	}
}
