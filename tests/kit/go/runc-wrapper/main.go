// Command runc-wrapper runs the real runc after taking out of a container's configuration what a
// host without CAP_SYS_RESOURCE cannot grant: that capability, resource limits, a negative oomScoreAdj.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// The real runc: named by RUNC_REAL, or beside this program as NAME.real, or Debian's.
func realRunc() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	for _, path := range []string{os.Getenv("RUNC_REAL"), self + ".real", "/usr/sbin/runc", "/usr/bin/runc"} {
		resolved, err := filepath.EvalSymlinks(path)
		if path != "" && err == nil && resolved != self {
			return path, nil
		}
	}
	return "", fmt.Errorf("no runc found")
}

func reduceProcess(process map[string]any) {
	delete(process, "rlimits")
	if score, ok := process["oomScoreAdj"].(json.Number); ok && strings.HasPrefix(score.String(), "-") {
		delete(process, "oomScoreAdj")
	}
	capabilities, _ := process["capabilities"].(map[string]any)
	for set, value := range capabilities {
		names, _ := value.([]any)
		kept := make([]any, 0, len(names))
		for _, name := range names {
			if name != "CAP_SYS_RESOURCE" {
				kept = append(kept, name)
			}
		}
		capabilities[set] = kept
	}
}

// Rewrites the file at path; inside is the key of the process, or "" where the file is the process.
func reduceFile(path, inside string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var document map[string]any
	decoder := json.NewDecoder(bytes.NewReader(content))
	decoder.UseNumber()
	if err := decoder.Decode(&document); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	process := document
	if inside != "" {
		process, _ = document[inside].(map[string]any)
	}
	reduceProcess(process)
	content, err = json.Marshal(document)
	if err != nil {
		return err
	}
	return os.WriteFile(path, content, 0o600)
}

func option(arguments []string, long, short string) string {
	for i, argument := range arguments {
		if (argument == long || argument == short) && i+1 < len(arguments) {
			return arguments[i+1]
		}
		if value, found := strings.CutPrefix(argument, long+"="); found {
			return value
		}
	}
	return ""
}

func reduce(arguments []string) error {
	for i, argument := range arguments {
		switch argument {
		case "create", "run", "restore":
			bundle := option(arguments[i:], "--bundle", "-b")
			return reduceFile(filepath.Join(bundle, "config.json"), "process")
		case "exec":
			if path := option(arguments[i:], "--process", "-p"); path != "" {
				return reduceFile(path, "")
			}
			return nil
		}
	}
	return nil
}

func main() {
	err := reduce(os.Args[1:])
	if err == nil {
		var runc string
		if runc, err = realRunc(); err == nil {
			err = syscall.Exec(runc, append([]string{runc}, os.Args[1:]...), os.Environ())
		}
	}
	fmt.Fprintln(os.Stderr, "runc-wrapper:", err)
	os.Exit(1)
}
