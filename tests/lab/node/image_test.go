package node_test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kansoku/kansoku/tests/lab/node"
)

var thanos = node.Image{Ref: "quay.io/thanos/thanos:v0.42.4", Binary: "thanos", Entrypoint: "/usr/bin/thanos"}

// binDir has one binary, made at a time that tells.
func binDir(t *testing.T, content string, made time.Time) string {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "thanos")
	require.NoError(t, os.WriteFile(path, []byte(content), 0o700))
	require.NoError(t, os.Chtimes(path, made, made))
	return dir
}

func archive(t *testing.T, image node.Image, dir string) []byte {
	t.Helper()
	var out bytes.Buffer
	require.NoError(t, image.Archive(dir, &out))
	return out.Bytes()
}

type entry struct {
	tar.Header
	content string
}

func entries(t *testing.T, content []byte) (names []string, byName map[string]entry) {
	t.Helper()
	byName = map[string]entry{}
	reader := tar.NewReader(bytes.NewReader(content))
	for {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return names, byName
		}
		require.NoError(t, err)
		body, err := io.ReadAll(reader)
		require.NoError(t, err)
		names = append(names, header.Name)
		byName[header.Name] = entry{*header, string(body)}
	}
}

func sum(content string) string {
	digest := sha256.Sum256([]byte(content))
	return hex.EncodeToString(digest[:])
}

func TestArchiveIsWhatDockerSaves(t *testing.T) {
	t.Parallel()
	names, outer := entries(t, archive(t, thanos, binDir(t, "#!binary", time.Now())))
	require.Len(t, names, 3)

	var manifest []struct {
		Config           string
		RepoTags, Layers []string
	}
	require.NoError(t, json.Unmarshal([]byte(outer["manifest.json"].content), &manifest))
	require.Len(t, manifest, 1)
	require.Equal(t, []string{"quay.io/thanos/thanos:v0.42.4"}, manifest[0].RepoTags)
	require.Len(t, manifest[0].Layers, 1)
	config, layer := outer[manifest[0].Config].content, outer[manifest[0].Layers[0]].content
	require.Equal(t, sum(config)+".json", manifest[0].Config)

	var image struct {
		Config struct {
			Entrypoint []string
			WorkingDir string
		}
		Rootfs struct {
			Type    string
			DiffIDs []string `json:"diff_ids"`
		}
	}
	require.NoError(t, json.Unmarshal([]byte(config), &image))
	require.Equal(t, []string{"/usr/bin/thanos"}, image.Config.Entrypoint)
	require.Equal(t, "/", image.Config.WorkingDir)
	require.Equal(t, "layers", image.Rootfs.Type)
	require.Equal(t, []string{"sha256:" + sum(layer)}, image.Rootfs.DiffIDs)

	names, inner := entries(t, []byte(layer))
	require.Equal(t, []string{"etc/", "etc/passwd", "tmp/", "usr/", "usr/bin/", "usr/bin/thanos"}, names)
	require.Equal(t, "#!binary", inner["usr/bin/thanos"].content)
	require.EqualValues(t, 0o755, inner["usr/bin/thanos"].Mode)
	require.EqualValues(t, 0o1777, inner["tmp/"].Mode)
	require.Contains(t, inner["etc/passwd"].content, "nobody:x:65534:65534:")
	for name, e := range inner {
		require.Zero(t, e.Uid+e.Gid, name)
		require.True(t, e.ModTime.Equal(time.Unix(0, 0)), name)
	}
}

func TestArchiveDependsOnTheBinaryOnly(t *testing.T) {
	t.Parallel()
	first := archive(t, thanos, binDir(t, "#!binary", time.Now()))
	require.Equal(t, first, archive(t, thanos, binDir(t, "#!binary", time.Unix(1e9, 0))))
	require.NotEqual(t, first, archive(t, thanos, binDir(t, "#!other", time.Now())))
}

func TestArchiveAtTheRoot(t *testing.T) {
	t.Parallel()
	image := thanos
	image.Entrypoint = "/thanos"
	_, outer := entries(t, archive(t, image, binDir(t, "#!binary", time.Now())))
	for name, e := range outer {
		if filepath.Ext(name) == ".tar" {
			names, _ := entries(t, []byte(e.content))
			require.Equal(t, []string{"etc/", "etc/passwd", "tmp/", "thanos"}, names)
		}
	}
	require.Len(t, outer, 3)
}

func TestArchiveSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	err := thanos.Archive(t.TempDir(), io.Discard)
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.ErrorContains(t, err, "image quay.io/thanos/thanos:v0.42.4: opening the binary: ")

	for _, entrypoint := range []string{"", "/", "thanos", "/../thanos", "/usr//thanos"} {
		image := thanos
		image.Entrypoint = entrypoint
		require.ErrorContains(t, image.Archive(binDir(t, "#!binary", time.Now()), io.Discard), "must be an absolute path", entrypoint)
	}

	err = thanos.Archive(binDir(t, "#!binary", time.Now()), failing{})
	require.ErrorIs(t, err, errFull)
	require.ErrorContains(t, err, "image quay.io/thanos/thanos:v0.42.4: writing the archive: ")
}

var errFull = errors.New("no space left")

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errFull }
