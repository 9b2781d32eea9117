package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/sumo-k8/sumo-k8/pkg/client"
)

const (
	urlVariable      = "SUMO_K8_URL"
	apiKeyVariable   = "SUMO_K8_API_KEY"
	adminKeyVariable = "SUMO_K8_ADMIN_KEY"
	// maxKey is far longer than any key.
	maxKey = 4 << 10
)

// settings say which service is meant and who calls it. They are kept in a file.
type settings struct {
	URL      string `json:"url"`
	APIKey   string `json:"api_key,omitempty"`
	AdminKey string `json:"admin_key,omitempty"`
}

// settingsPath follows the XDG base directory specification.
func (a *app) settingsPath() (string, error) {
	folder := a.env("XDG_CONFIG_HOME")
	if folder == "" {
		home := a.env("HOME")
		if home == "" {
			return "", usage("neither XDG_CONFIG_HOME nor HOME is set, so there is no place for settings: use %s and %s", urlVariable,
				apiKeyVariable)
		}
		folder = filepath.Join(home, ".config")
	}
	return filepath.Join(folder, "sumo-k8", "config.json"), nil
}

// saved reads the file; without one, everything is empty.
func (a *app) saved() (s settings, err error) {
	path, err := a.settingsPath()
	if err != nil {
		return s, nil // the environment may suffice
	}
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err == nil && runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return s, usage("%s holds keys, and other users can read it; run: chmod 600 %s", path, path)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return s, fmt.Errorf("reading the settings: %w", err)
	}
	if err := json.Unmarshal(raw, &s); err != nil {
		return s, usage("%s is not what sumo-k8 login writes (%v); run it again", path, err)
	}
	return s, nil
}

func (a *app) save(s settings) (path string, err error) {
	if path, err = a.settingsPath(); err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", fmt.Errorf("saving the settings: %w", err)
	}
	raw, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return "", fmt.Errorf("saving the settings: %w", err)
	}
	// A temporary name, so that the file appears with its mode and only when it is complete.
	file, err := os.CreateTemp(filepath.Dir(path), ".config-*")
	if err != nil {
		return "", fmt.Errorf("saving the settings: %w", err)
	}
	_, err = file.Write(append(raw, '\n'))
	if err = errors.Join(err, file.Close()); err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return "", errors.Join(fmt.Errorf("saving the settings: %w", err), os.Remove(file.Name()))
	}
	return path, nil
}

// settings returns the current settings: flags override the environment, which overrides the file. Keys of the file are only sent
// to the file's service.
func (a *app) settings() (settings, error) {
	s, err := a.saved()
	if err != nil {
		return s, err
	}
	address := a.url
	if address == "" {
		address = a.env(urlVariable)
	}
	if address = strings.TrimRight(address, "/"); address != "" && address != s.URL {
		s = settings{URL: address}
	}
	if key := a.env(apiKeyVariable); key != "" {
		s.APIKey = key
	}
	if key := a.env(adminKeyVariable); key != "" {
		s.AdminKey = key
	}
	return s, nil
}

// tenant is a client that calls as a tenant; operator is one that calls as the operator.
func (a *app) tenant() (*client.Client, error) {
	s, err := a.settings()
	if err == nil && s.URL != "" && s.APIKey == "" {
		err = usage("there is no API key for %s; run sumo-k8 login, or set %s", s.URL, apiKeyVariable)
	}
	if err != nil {
		return nil, err
	}
	return a.connect(s, client.Options{})
}

func (a *app) operator() (*client.Client, error) {
	s, err := a.settings()
	if err == nil && s.URL != "" && s.AdminKey == "" {
		err = usage("there is no admin key for %s; run sumo-k8 login --admin, or set %s", s.URL, adminKeyVariable)
	}
	if err != nil {
		return nil, err
	}
	return a.connect(s, client.Options{})
}

// unnoticed is the longest pause that nobody wonders about: that of a tenant who makes more calls a second than it may.
const unnoticed = time.Second

func (a *app) connect(s settings, o client.Options) (*client.Client, error) {
	if s.URL == "" {
		return nil, usage("no service is named; run sumo-k8 login, or set %s", urlVariable)
	}
	o.APIKey, o.AdminKey, o.UserAgent = s.APIKey, s.AdminKey, "sumo-k8/"+version()
	o.Retrying = func(err error, wait time.Duration) {
		if wait > unnoticed {
			first, _, _ := strings.Cut(err.Error(), "\n")
			a.note("%s; trying again in %s", first, wait.Round(time.Second))
		}
	}
	api, err := client.New(s.URL, o)
	if err != nil {
		return nil, &usageError{err}
	}
	return api, nil
}

func (a *app) loginCommand() *cobra.Command {
	var admin bool
	c := &cobra.Command{
		Use:   "login [URL]",
		Short: "Save the service's address and your key",
		Long: `Asks for the address of the service and your key, tries them, and saves them in a file that only you can read.
The key is read from the terminal without showing it, or from standard input: sumo-k8 login URL <key-file`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	c.Flags().BoolVar(&admin, "admin", false, "save the operator's admin key instead of a tenant's API key")
	c.RunE = a.does(func(ctx context.Context, args []string) error {
		s, err := a.saved()
		if err != nil {
			return err
		}
		ask := &prompter{a: a, lines: bufio.NewReader(io.LimitReader(a.in, 2*maxKey))}
		address := a.url
		if len(args) > 0 {
			address = args[0]
		}
		if address == "" {
			if address, err = ask.text("address of the service", s.URL); err != nil {
				return err
			}
		}
		if address = strings.TrimRight(address, "/"); address != s.URL {
			s = settings{URL: address} // keys of another service do not work here
		}
		what := "API key"
		if admin {
			what = "admin key"
		}
		key, err := ask.secret(what)
		if err != nil {
			return err
		}
		who, err := a.tryKey(ctx, &s, key, admin)
		if err != nil {
			return err
		}
		path, err := a.save(s)
		if err != nil {
			return err
		}
		if unprotected(s.URL) {
			a.note("Note: %s is not encrypted: others can read your key in transit.", s.URL)
		}
		a.note("Logged in to %s as %s; kept in %s", s.URL, who, path)
		return nil
	})
	return c
}

// tryKey puts key into s if the service accepts it, and returns whose it is.
func (a *app) tryKey(ctx context.Context, s *settings, key string, admin bool) (who string, err error) {
	if admin {
		s.AdminKey = key
	} else {
		s.APIKey = key
	}
	api, err := a.connect(*s, client.Options{})
	if err != nil {
		return "", err
	}
	if admin {
		_, err := api.Tenants(ctx)
		return "operator", err
	}
	dashboard, err := api.Dashboard(ctx)
	return "tenant " + dashboard.TenantID, err
}

// unprotected reports whether what is sent to address can be read by others.
func unprotected(address string) bool {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback())
}

// prompter asks on a terminal, and reads lines from anything else.
type prompter struct {
	a     *app
	lines *bufio.Reader
}

func (p *prompter) terminal() (fd int, ok bool) {
	f, ok := p.a.in.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return 0, false
	}
	return int(f.Fd()), true
}

func (p *prompter) text(what, otherwise string) (string, error) {
	if _, ok := p.terminal(); ok {
		if otherwise != "" {
			what += " [" + otherwise + "]"
		}
		fmt.Fprint(p.a.err, what+": ")
	}
	answer, err := p.line(what)
	if answer == "" && otherwise != "" {
		return otherwise, nil
	}
	return answer, err
}

func (p *prompter) secret(what string) (string, error) {
	fd, ok := p.terminal()
	if !ok {
		return p.line(what)
	}
	fmt.Fprint(p.a.err, what+" (not shown): ")
	raw, err := term.ReadPassword(fd)
	fmt.Fprintln(p.a.err)
	if err != nil {
		return "", fmt.Errorf("reading the key: %w", err)
	}
	return strings.TrimSpace(string(raw)), nil
}

func (p *prompter) line(what string) (string, error) {
	text, err := p.lines.ReadString('\n')
	if text = strings.TrimSpace(text); text != "" {
		return text, nil
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("reading standard input: %w", err)
	}
	return "", usage("no %s was given", what)
}

func (a *app) configCommand() *cobra.Command {
	return &cobra.Command{
		Use: "config", Short: "Show the current settings, without the keys", Args: cobra.NoArgs, ValidArgsFunction: cobra.NoFileCompletions,
		RunE: a.does(func(context.Context, []string) error {
			s, err := a.settings()
			if err != nil {
				return err
			}
			path, err := a.settingsPath()
			if err != nil {
				path = ""
			}
			shown := struct {
				URL      string `json:"url"`
				APIKey   string `json:"api_key"`
				AdminKey string `json:"admin_key"`
				File     string `json:"file"`
			}{s.URL, presence(s.APIKey), presence(s.AdminKey), path}
			if a.asJSON() {
				raw, err := json.Marshal(shown)
				if err != nil {
					return err
				}
				fmt.Fprintln(a.out, string(raw))
				return nil
			}
			a.table([][]string{{"service", shown.URL}, {"API key", shown.APIKey}, {"admin key", shown.AdminKey}, {"file", shown.File}})
			return nil
		}),
	}
}

func presence(key string) string {
	if key == "" {
		return "none"
	}
	return "set"
}
