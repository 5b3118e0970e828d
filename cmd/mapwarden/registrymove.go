package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/mapwarden/mapwarden/internal/cloudmap"
	"github.com/mapwarden/mapwarden/internal/registry"
)

// registryFile is the file of a registry below its data directory.
func registryFile(data string) string { return filepath.Join(data, "registry.db") }

func (a *app) registryExport() *cobra.Command {
	var data, endpoint, file string
	var trust trustFlag
	c := &cobra.Command{
		Use: "export", Short: "Print a registry as JSON: from its file, or from a running one", Args: cobra.NoArgs,
		Long: "Print all namespaces, services and instances of a registry as one JSON document, for a backup or to move it\n" +
			"(see mapwarden registry import). It reads the file of a registry that does not run. With --endpoint it asks a\n" +
			"running one through its API, which does not tell everything; what is missing is said.",
		Example: "  mapwarden registry export -o registry.json\n  mapwarden registry export --endpoint http://" + registryAddress,
		RunE: func(c *cobra.Command, _ []string) error {
			if endpoint != "" {
				if c.Flags().Changed("data") {
					return usagef("give --data or --endpoint, not both")
				}
				trusted, err := trust.config(endpoint)
				if err != nil {
					return err
				}
				d, err := a.readAPI(c.Context(), cloudmap.Config{
					URL: endpoint, Region: cmp.Or(os.Getenv("AWS_REGION"), os.Getenv("AWS_DEFAULT_REGION")), TLS: trusted, AccessKey: os.Getenv("AWS_ACCESS_KEY_ID"), SecretKey: os.Getenv("AWS_SECRET_ACCESS_KEY"),
				}, nil)
				if err != nil {
					return err
				}
				return a.writeDocument(d, file)
			}
			if c.Flags().Changed("ca") {
				return usagef("--ca goes with --endpoint")
			}
			d, err := registry.ExportFile(registryFile(data))
			switch {
			case errors.Is(err, fs.ErrNotExist):
				return noRegistry(data)
			case errors.Is(err, registry.ErrInUse):
				return unreachablef("%w; stop it, or ask the running registry with --endpoint http://ADDRESS", err)
			case err != nil:
				return unreachablef("%w", err)
			case d.Warning != "":
				fmt.Fprintf(a.err, "mapwarden: %s\n", d.Warning)
			}
			return a.writeDocument(d, file)
		},
	}
	c.Flags().StringVar(&data, "data", localData, "directory of the registry's file")
	c.Flags().StringVar(&endpoint, "endpoint", "", "ask the running registry at this URL, signing with AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION where they are set")
	trust.add(c)
	c.Flags().StringVarP(&file, "out", "o", "", "write to this file, as a whole or not at all, instead of standard output")
	return c
}

// noRegistry says that a data directory has no registry, and where one is that
// is easily meant.
func noRegistry(data string) error {
	if below := filepath.Join(data, "registry"); exists(registryFile(below)) {
		return usagef("--data %s: no registry has kept its state there; that of run and dev is in --data %s", data, below)
	}
	return usagef("--data %s: no registry has kept its state there", data)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// writeDocument writes to a file, which is the old one or the whole new one at
// any time, or to standard output.
func (a *app) writeDocument(d *registry.Document, file string) error {
	if file == "" {
		out := bufio.NewWriter(a.out)
		return errors.Join(d.Encode(out), out.Flush())
	}
	temp, err := os.CreateTemp(filepath.Dir(file), ".export-")
	if err != nil {
		return unreachablef("write %s: %w", file, err)
	}
	defer os.Remove(temp.Name())
	out := bufio.NewWriter(temp)
	if err := errors.Join(d.Encode(out), out.Flush(), temp.Sync(), temp.Close()); err != nil {
		return unreachablef("write %s: %w", file, err)
	}
	if err := os.Rename(temp.Name(), file); err != nil {
		return unreachablef("write %s: %w", file, err)
	}
	fmt.Fprintf(a.err, "%s: %s of account %s in %s\n", file, d.Count(), d.Account, d.Region)
	return nil
}

// importFlags are what `registry import` is asked for.
type importFlags struct {
	data       string
	how        registry.ImportOptions
	fromAWS    bool
	region     string
	namespaces []string
	out        string
}

func (a *app) registryImport() *cobra.Command {
	var f importFlags
	c := &cobra.Command{
		Use: "import {FILE | --from-aws}", Short: "Fill a registry from an export, or from AWS Cloud Map", Args: cobra.MaximumNArgs(1),
		Long: "Add what an export holds to the file of a registry that does not run: all of it or nothing. FILE is - for standard\n" +
			"input. The registry must be empty; with --merge it may have something already, as long as what both have is the\n" +
			"same. With --from-aws the export is read from AWS Cloud Map first, by calls that only read, with the credentials\n" +
			"of the environment; -o keeps it in a file and imports nothing.",
		Example: "  mapwarden registry import registry.json\n  mapwarden registry import --from-aws --region eu-west-1 --namespace shop --data ./copy\n" +
			"  mapwarden registry import --from-aws -o aws.json",
		RunE: func(c *cobra.Command, args []string) error {
			if f.fromAWS == (len(args) == 1) {
				return usagef("give one FILE (- for standard input), or --from-aws")
			}
			if !f.fromAWS {
				for _, name := range []string{"region", "namespace", "out"} {
					if c.Flags().Changed(name) {
						return usagef("--%s goes with --from-aws", name)
					}
				}
				return a.importFile(f, args[0])
			}
			return a.importFromAWS(c.Context(), f)
		},
	}
	c.Flags().StringVar(&f.data, "data", localData, "directory of the registry's file; made where there is none")
	c.Flags().BoolVar(&f.how.Merge, "merge", false, "import into a registry that is not empty; what differs is listed, and then nothing is written")
	c.Flags().BoolVar(&f.how.Adopt, "adopt", false, "keep the registry's own account and region in ARNs, not those of the export")
	c.Flags().BoolVar(&f.fromAWS, "from-aws", false, "read AWS Cloud Map")
	c.Flags().StringVar(&f.region, "region", "", "region of AWS; default the environment's")
	c.Flags().StringArrayVar(&f.namespaces, "namespace", nil, "name, id or ARN of a namespace to read; may be repeated; default all")
	c.Flags().StringVarP(&f.out, "out", "o", "", "write the export to this file and import nothing")
	return c
}

func (a *app) importFromAWS(ctx context.Context, f importFlags) error {
	d, err := a.readAPI(ctx, cloudmap.Config{AWS: true, Region: f.region}, f.namespaces)
	switch {
	case err != nil:
		return err
	case f.out != "":
		return a.writeDocument(d, f.out)
	}
	if err := d.Check(); err != nil {
		a.listMistakes("AWS", err)
		return exitWith(exitFailed, errors.New("nothing was imported; keep it with -o FILE, mend it, and import FILE"))
	}
	return a.importDocument(f, "AWS", d)
}

// maxDocument bounds the file that import reads into memory.
const maxDocument = 1 << 30

func (a *app) importFile(f importFlags, name string) error {
	in, said := a.in, "standard input"
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return unreachablef("read the export: %w", err)
		}
		defer file.Close()
		in, said = file, name
	}
	var text bytes.Buffer
	if n, err := io.Copy(&text, io.LimitReader(in, maxDocument+1)); err != nil {
		return unreachablef("read the export: %w", err)
	} else if n > maxDocument {
		return usagef("%s has more than %d bytes", said, maxDocument)
	}
	d, err := registry.ParseDocument(text.Bytes())
	if err == nil {
		err = d.Check()
	}
	if err != nil {
		a.listMistakes(said, err)
		return exitWith(exitUsage, errors.New("nothing was imported"))
	}
	return a.importDocument(f, said, d)
}

// importDocument imports a document that is right in itself.
func (a *app) importDocument(f importFlags, from string, d *registry.Document) error {
	if err := os.MkdirAll(f.data, 0o700); err != nil {
		return unreachablef("create the data directory: %w; choose another with --data", err)
	}
	path := registryFile(f.data)
	done, err := registry.ImportFile(path, d, f.how)
	if _, ok := errors.AsType[registry.Mistakes](err); ok {
		a.listMistakes(from, err)
		return exitWith(exitFailed, fmt.Errorf("nothing was imported into %s", path))
	}
	if full, ok := errors.AsType[*registry.NotEmptyError](err); ok {
		return exitWith(exitFailed, fmt.Errorf("import into %s: %w; choose another --data, or say --merge", path, full))
	}
	if owner, ok := errors.AsType[*registry.OwnerError](err); ok {
		return exitWith(exitFailed, fmt.Errorf("import into %s: %w; take it in under the registry's own with --adopt", path, owner))
	}
	if errors.Is(err, registry.ErrInUse) {
		return unreachablef("%w; stop the registry that runs on it", err)
	}
	if err != nil {
		return unreachablef("import: %w", err)
	}
	a.say("imported %s into %s, account %s, region %s\n", done.Added, path, done.Account, done.Region)
	if done.Present != (registry.Census{}) {
		a.say("were there already: %s\n", done.Present)
	}
	return nil
}

// listMistakes gives each mistake a line that begins with the file, so that
// editors find the place.
func (a *app) listMistakes(file string, err error) {
	mistakes, ok := errors.AsType[registry.Mistakes](err)
	if !ok {
		fmt.Fprintf(a.err, "%s: %s\n", file, err)
		return
	}
	for _, m := range mistakes {
		between := ": "
		if m.Line > 0 {
			between = ":"
		}
		fmt.Fprintf(a.err, "%s%s%s\n", file, between, m)
	}
}
