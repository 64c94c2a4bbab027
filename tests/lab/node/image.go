package node

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path"
	"runtime"
	"strings"
	"time"
)

// Image is a container image with one static binary in it. It carries the name of an upstream image and stands in for it where no
// registry is within reach.
type Image struct {
	// Ref is the name with registry and tag: quay.io/thanos/thanos:v0.42.4.
	Ref string
	// Binary is the file's name in the directory of binaries.
	Binary string
	// Entrypoint is the absolute path of the binary in the image.
	Entrypoint string
}

// accounts name the users that upstream images name; pods give theirs by number.
const accounts = "root:x:0:0:root:/root:/sbin/nologin\nnobody:x:65534:65534:nobody:/:/sbin/nologin\n"

// Archive writes the image as `docker save` does. The same binary gives the same bytes.
func (i Image) Archive(binDir string, w io.Writer) error {
	layer, err := i.measureLayer(binDir)
	if err != nil {
		return fmt.Errorf("image %s: %w", i.Ref, err)
	}
	config, err := json.Marshal(map[string]any{
		"architecture": runtime.GOARCH,
		"os":           "linux",
		"config":       map[string]any{"Entrypoint": []string{i.Entrypoint}, "WorkingDir": "/", "Env": []string{"PATH=/usr/bin:/bin"}},
		"rootfs":       map[string]any{"type": "layers", "diff_ids": []string{"sha256:" + layer.sum}},
		"history":      []any{map[string]string{"created_by": "lab"}},
	})
	if err != nil {
		return fmt.Errorf("image %s: encoding the configuration: %w", i.Ref, err)
	}
	configSum := sha256.Sum256(config)
	configName := hex.EncodeToString(configSum[:]) + ".json"
	manifest, err := json.Marshal([]any{map[string]any{
		"Config": configName, "RepoTags": []string{i.Ref}, "Layers": []string{layer.sum + ".tar"},
	}})
	if err != nil {
		return fmt.Errorf("image %s: encoding the manifest: %w", i.Ref, err)
	}
	out := archive{tar.NewWriter(w)}
	write := func() error {
		if err := out.file("manifest.json", 0o644, int64(len(manifest)), bytes.NewReader(manifest)); err != nil {
			return err
		}
		if err := out.file(configName, 0o644, int64(len(config)), bytes.NewReader(config)); err != nil {
			return err
		}
		if err := out.header(tar.Header{Typeflag: tar.TypeReg, Name: layer.sum + ".tar", Mode: 0o644, Size: layer.size}); err != nil {
			return err
		}
		if err := i.writeLayer(binDir, out); err != nil {
			return err
		}
		return out.Close()
	}
	if err := write(); err != nil {
		return fmt.Errorf("image %s: writing the archive: %w", i.Ref, err)
	}
	return nil
}

// measured are the digest and the size of a layer. Both stand before it in the archive, so it is made twice rather than kept.
type measured struct {
	sum  string
	size int64
}

func (i Image) measureLayer(binDir string) (measured, error) {
	sum := sha256.New()
	counted := &counter{to: sum}
	if err := i.writeLayer(binDir, counted); err != nil {
		return measured{}, err
	}
	return measured{hex.EncodeToString(sum.Sum(nil)), counted.size}, nil
}

type counter struct {
	to   io.Writer
	size int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.to.Write(p)
	c.size += int64(n)
	return n, err
}

// writeLayer writes the only layer: the binary, the accounts and a /tmp for all.
func (i Image) writeLayer(binDir string, w io.Writer) error {
	if i.Entrypoint == "/" || !path.IsAbs(i.Entrypoint) || path.Clean(i.Entrypoint) != i.Entrypoint {
		return fmt.Errorf("entrypoint %q: must be an absolute path", i.Entrypoint)
	}
	binary, err := os.DirFS(binDir).Open(i.Binary)
	if err != nil {
		return fmt.Errorf("opening the binary: %w", err)
	}
	defer func() { _ = binary.Close() }()
	info, err := binary.Stat()
	if err != nil {
		return fmt.Errorf("opening the binary: %w", err)
	}
	out := archive{tar.NewWriter(w)}
	if err := out.dir("etc", 0o755); err != nil {
		return err
	}
	if err := out.file("etc/passwd", 0o644, int64(len(accounts)), strings.NewReader(accounts)); err != nil {
		return err
	}
	if err := out.dir("tmp", 0o1777); err != nil {
		return err
	}
	name := strings.TrimPrefix(i.Entrypoint, "/")
	for at, r := range name {
		if r == '/' {
			if err := out.dir(name[:at], 0o755); err != nil {
				return err
			}
		}
	}
	if err := out.file(name, 0o755, info.Size(), binary); err != nil {
		return err
	}
	return out.Close()
}

// archive writes a tar file in which nothing tells when or by whom it was made.
type archive struct{ *tar.Writer }

func (a archive) header(header tar.Header) error {
	header.ModTime = time.Unix(0, 0)
	header.Format = tar.FormatUSTAR
	if err := a.WriteHeader(&header); err != nil {
		return fmt.Errorf("%s: %w", header.Name, err)
	}
	return nil
}

func (a archive) dir(name string, mode int64) error {
	return a.header(tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: mode})
}

func (a archive) file(name string, mode, size int64, content io.Reader) error {
	if err := a.header(tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: size}); err != nil {
		return err
	}
	if _, err := io.Copy(a, content); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}
