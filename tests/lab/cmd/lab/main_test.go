package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kansoku/kansoku/components/versions"
	"github.com/kansoku/kansoku/tests/lab/node"
)

func TestChoose(t *testing.T) {
	t.Parallel()
	images, differences, err := choose(
		[]string{"docker.io/grafana/loki:3.5.12", "quay.io/thanos/thanos:v0.42.4"}, map[string]string{"loki": "3.5.0", "thanos": "0.42.4"})
	require.NoError(t, err)
	require.Equal(t, []node.Image{
		{Ref: "docker.io/grafana/loki:3.5.12", Binary: "loki", Entrypoint: "/usr/bin/loki"},
		{Ref: "quay.io/thanos/thanos:v0.42.4", Binary: "thanos", Entrypoint: "/bin/thanos"},
	}, images)
	require.Equal(t, []string{"image docker.io/grafana/loki:3.5.12: the binary in it is built from 3.5.0"}, differences)

	_, _, err = choose([]string{versions.Grafana.Image()}, nil)
	require.EqualError(t, err, "image "+versions.Grafana.Image()+": nothing that is built here belongs in it")
	_, _, err = choose([]string{"registry:5000/thanos"}, nil)
	require.Error(t, err)
	_, _, err = choose([]string{"quay.io/thanos/thanos"}, nil)
	require.EqualError(t, err, "image quay.io/thanos/thanos: it has no version")
}
