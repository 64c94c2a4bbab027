package double

import (
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"sigs.k8s.io/yaml"
)

// kubernetesReplacements are the properties whose change replaces an object, by group and kind: pulumi-kubernetes,
// provider/pkg/provider/diff.go, forceNew. A dotted path covers what lies below it; list indices are left out. Names and namespaces
// replace everywhere, Secrets and ConfigMaps see mutable.
var kubernetesReplacements = map[string][]string{
	"apps/DaemonSet":  {"spec.selector"},
	"apps/Deployment": {"spec.selector"},
	"apps/StatefulSet": {
		"spec.podManagementPolicy", "spec.revisionHistoryLimit", "spec.selector", "spec.serviceName", "spec.volumeClaimTemplates",
	},
	"batch/Job": {"spec.completions", "spec.parallelism", "spec.selector", "spec.template"},
	"rbac.authorization.k8s.io/ClusterRoleBinding": {"roleRef"},
	"rbac.authorization.k8s.io/RoleBinding":        {"roleRef"},
	"storage.k8s.io/StorageClass":                  {"parameters", "provisioner"},
	"/PersistentVolume": {
		"spec.awsElasticBlockStore", "spec.azureDisk", "spec.azureFile", "spec.cephfs", "spec.cinder", "spec.csi", "spec.fc",
		"spec.flexVolume", "spec.flocker", "spec.gcePersistentDisk", "spec.glusterfs", "spec.hostPath", "spec.iscsi", "spec.local",
		"spec.nfs", "spec.photonPersistentDisk", "spec.portworxVolume", "spec.quobyte", "spec.rbd", "spec.scaleIO", "spec.storageos",
		"spec.vsphereVolume",
	},
	"/PersistentVolumeClaim": {"spec.accessModes", "spec.selector", "spec.storageClassName", "spec.volumeName"},
	"/Pod":                   podReplacements(),
	"/ResourceQuota":         {"spec.scopes"},
	"/Service":               {"spec.clusterIP"},
}

func podReplacements() []string {
	paths := strings.Fields(`spec.affinity spec.automountServiceAccountToken spec.dnsConfig spec.dnsPolicy spec.enableServiceLinks
		spec.hostAliases spec.hostIPC spec.hostNetwork spec.hostPID spec.hostname spec.imagePullSecrets spec.nodeName
		spec.nodeSelector spec.overhead spec.preemptionPolicy spec.priority spec.priorityClassName spec.readinessGates
		spec.restartPolicy spec.runtimeClassName spec.schedulerName spec.securityContext spec.serviceAccount
		spec.serviceAccountName spec.shareProcessNamespace spec.subdomain spec.terminationGracePeriodSeconds spec.volumes`)
	for _, list := range []string{"spec.containers.", "spec.initContainers."} {
		for field := range strings.FieldsSeq(`args command env image imagePullPolicy lifecycle livenessProbe ports readinessProbe
			resources securityContext stdin stdinOnce terminationMessagePath terminationMessagePolicy tty volumeDevices
			volumeMounts workingDir`) {
			paths = append(paths, list+field)
		}
	}
	return paths
}

// replacements are the properties that replace this object under this provider's configuration.
func replacements(x *call, object resource.PropertyMap) []string {
	paths := []string{"metadata.name", "metadata.namespace"}
	k := kindOf(x.typ, object)
	immutable := isTrue(object["immutable"])
	switch {
	case strings.HasSuffix(k.name, "Patch"):
		return paths
	case k.key() == "/Secret":
		if immutable || !isTrue(x.config["enableSecretMutable"]) {
			return append(paths, "type", "stringData", "data")
		}
		return append(paths, "type")
	case k.key() == "/ConfigMap":
		if immutable || !isTrue(x.config["enableConfigMapMutable"]) {
			return append(paths, "binaryData", "data")
		}
	}
	return append(paths, kubernetesReplacements[k.key()]...)
}

func (kubernetesProvider) diff(
	c *Cloud, x *call, oldInputs, oldState, fresh resource.PropertyMap, ignore []string,
) *pulumirpc.DiffResponse {
	if kept := bare(oldState[inputsKey]); kept.IsObject() {
		oldInputs = kept.ObjectValue()
	}
	old, wanted := bareMap(normalized(oldInputs)), bareMap(normalized(fresh))
	scoped := namespaced(c, apiServer(x.config), kindOf(x.typ, wanted))
	for _, object := range []resource.PropertyMap{old, wanted} {
		if !has(object, "metadata", "namespace") && scoped {
			hold(object, resource.NewStringProperty("default"), "metadata", "namespace")
		}
	}
	forcing := replacements(x, wanted)
	response := answer(changes(old, wanted, nil), ignore, func(one change) bool {
		return slices.ContainsFunc(forcing, func(path string) bool { return touches(one, strings.Split(path, ".")) })
	})
	name := text(wanted, "metadata", "name")
	response.DeleteBeforeReplace = len(response.Replaces) > 0 && text(wanted, "metadata", "annotations", autonamed) != "true" &&
		(name != "" && name == text(old, "metadata", "name") || name == "" && has(wanted, "metadata", "name")) &&
		text(wanted, "metadata", "namespace") == text(old, "metadata", "namespace")
	return response
}

// diffConfig follows the provider: a set and unchanged clusterIdentifier rules out that the provider, and with it every object, is
// replaced; a changed one replaces; without one an unknown kubeconfig, or another active cluster in it, does.
func (kubernetesProvider) diffConfig(old, fresh resource.PropertyMap) *pulumirpc.DiffResponse {
	difference := old.Diff(fresh)
	if difference == nil {
		return &pulumirpc.DiffResponse{Changes: pulumirpc.DiffResponse_DIFF_NONE}
	}
	const identifier = "clusterIdentifier"
	response := &pulumirpc.DiffResponse{Changes: pulumirpc.DiffResponse_DIFF_SOME}
	if difference.Updated(identifier) {
		response.Replaces = append(response.Replaces, identifier)
	}
	pinned := difference.Same(identifier) && fresh.HasValue(identifier)
	selecting := []string{"kubeconfig", "context", "cluster"}
	for _, key := range selecting {
		if !fresh[resource.PropertyKey(key)].IsComputed() {
			continue
		}
		response.Diffs = []string{key}
		if response.Replaces = append(response.Replaces, key); pinned {
			response.Replaces = nil
		}
		return response
	}
	for _, key := range difference.ChangedKeys() {
		response.Diffs = append(response.Diffs, string(key))
		if key == "renderYamlToDirectory" {
			response.Replaces = append(response.Replaces, string(key))
		}
	}
	was, now := activeCluster(old), activeCluster(fresh)
	if was.V != nil && now.V != nil && !was.DeepEquals(now) {
		for _, key := range selecting {
			if slices.Contains(response.Diffs, key) {
				response.Replaces = append(response.Replaces, key)
			}
		}
	}
	slices.Sort(response.Diffs)
	if pinned {
		response.Replaces = nil
	}
	return response
}

// activeCluster is the entry of the cluster that a configuration talks to; the zero value if it names none.
func activeCluster(config resource.PropertyMap) resource.PropertyValue {
	written := bare(config["kubeconfig"])
	parsed := written
	if written.IsString() {
		var read map[string]any
		if yaml.Unmarshal([]byte(written.StringValue()), &read) != nil {
			return resource.PropertyValue{}
		}
		parsed = resource.NewPropertyValue(read)
	}
	if !parsed.IsObject() {
		return resource.PropertyValue{}
	}
	kubeconfig := parsed.ObjectValue()
	context := entry(kubeconfig, "contexts", or(text(config, "context"), text(kubeconfig, "current-context")), "context")
	if !context.IsObject() {
		return resource.PropertyValue{}
	}
	return entry(kubeconfig, "clusters", or(text(config, "cluster"), text(context.ObjectValue(), "cluster")), "cluster")
}

// entry is what a kubeconfig lists under a name.
func entry(kubeconfig resource.PropertyMap, list, name, field string) resource.PropertyValue {
	if all := kubeconfig[resource.PropertyKey(list)]; all.IsArray() {
		for _, one := range all.ArrayValue() {
			if one.IsObject() && text(one.ObjectValue(), "name") == name {
				return one.ObjectValue()[resource.PropertyKey(field)]
			}
		}
	}
	return resource.PropertyValue{}
}

// apiServer is the URL of the cluster that a configuration talks to. Objects of different clusters do not meet.
func apiServer(config resource.PropertyMap) string {
	if cluster := activeCluster(config); cluster.IsObject() {
		return text(cluster.ObjectValue(), "server")
	}
	return "ambient"
}
