module github.com/kansoku/kansoku/tools/lab/pods

go 1.26.0
