// Command probe tries what a program in SUMO's place could do, and prints the result of each attempt as a line of JSON.
package main

import (
	"crypto/tls"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

// targets are flags of the form NAME=ADDRESS.
type targets map[string]string

func (t targets) String() string { return "" }

func (t targets) Set(text string) error {
	name, address, ok := strings.Cut(text, "=")
	if !ok {
		return fmt.Errorf("%q is not NAME=ADDRESS", text)
	}
	t[name] = address
	return nil
}

func say(what, is string) {
	line, _ := json.Marshal(map[string]string{"what": what, "is": is}) // strings always marshal
	fmt.Println(string(line))
}

func main() {
	connect, get := targets{}, targets{}
	flag.Var(connect, "connect", "connections to try, as NAME=HOST:PORT")
	flag.Var(get, "get", "requests to try, as NAME=URL")
	patience := flag.Duration("for", 0, "how long a policy may take to hold for a new pod")
	flag.Parse()

	confinement()
	deadline := time.Now().Add(*patience)
	for name, address := range connect {
		say(name, reach(address, deadline))
	}
	for name, address := range get {
		say(name, fetch(address))
	}
	say("probe", "done")
}

// reach tries to connect until it is refused twice in a row or the deadline has passed. On a busy machine a connection may take too long
// once.
func reach(address string, deadline time.Time) string {
	for refused := 0; ; {
		connection, err := net.DialTimeout("tcp", address, 3*time.Second)
		if err != nil {
			if refused++; refused == 2 {
				return "refused"
			}
			continue
		}
		refused = 0
		connection.Close()
		if time.Now().After(deadline) {
			return "connected"
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// fetch makes a request without credentials. An answer is needed to tell that it is forbidden rather than out of reach.
func fetch(address string) string {
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	response, err := client.Get(address)
	if err != nil {
		return err.Error()
	}
	defer response.Body.Close()
	switch response.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden:
		return "forbidden"
	default:
		return response.Status
	}
}

func confinement() {
	token := "none"
	if entries, err := os.ReadDir("/var/run/secrets/kubernetes.io"); err == nil {
		token = fmt.Sprint(entries)
	}
	say("a service account's token", token)

	var secrets []string
	for _, variable := range os.Environ() {
		name, _, _ := strings.Cut(variable, "=")
		for _, word := range []string{"KEY", "SECRET", "TOKEN", "PASSWORD", "CREDENTIAL"} {
			if strings.Contains(strings.ToUpper(name), word) {
				secrets = append(secrets, name)
			}
		}
	}
	if secrets == nil {
		say("credentials in the environment", "none")
	} else {
		say("credentials in the environment", strings.Join(secrets, " "))
	}

	say("writing to the root", written("/probe-was-here", "refused"))
	say("the keeper's desk", written("/desk/ready", "refused"))
	say("its own results folder", written("/job/probe.txt", "refused"))

	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		say("capabilities", err.Error())
		return
	}
	for line := range strings.Lines(string(status)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":\t")
		switch name {
		case "CapEff":
			say("capabilities", value)
		case "NoNewPrivs":
			say("new privileges", map[string]string{"1": "never", "0": "possible"}[value])
		case "Seccomp":
			say("system calls", map[string]string{"2": "filtered", "0": "all"}[value])
		}
	}
	say("user", fmt.Sprint(os.Getuid()))
}

func written(path, otherwise string) string {
	if os.WriteFile(path, []byte("x"), 0o600) != nil {
		return otherwise
	}
	return "written"
}
