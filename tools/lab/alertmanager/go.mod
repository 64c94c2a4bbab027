// Names the version and its hash; Alertmanager is built in a copy of its own module, see ../Makefile. Not for `go mod tidy`.
module github.com/kansoku/kansoku/tools/lab/alertmanager

go 1.26.0

require github.com/prometheus/alertmanager v0.34.2
