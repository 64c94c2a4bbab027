package cases

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestNothingRestartedByItself is the last of all: what restarted did so because a test killed it.
func TestNothingRestartedByItself(t *testing.T) {
	k := cluster(t)
	restarts := int32(0)
	for _, namespace := range []string{namespace, hostNamespace} {
		for _, pod := range k.pods(t, namespace, "") {
			assert.Empty(t, unexpectedRestarts(t, pod))
			for _, status := range pod.Status.ContainerStatuses {
				restarts += status.RestartCount
			}
		}
	}
	figure(t, "%d restarts since `lab up` in the pods that there are, each caused by a test", restarts)
}
