package diff

import (
	"strings"

	"github.com/kansoku/kansoku/internal/offline"
)

// stateful says what the end of a resource means for data, by type.
var stateful = map[string]string{
	"aws:s3/bucket:Bucket":                                        "every object in it is lost",
	"aws:s3/bucketV2:BucketV2":                                    "every object in it is lost",
	"aws:dynamodb/table:Table":                                    "every row in it is lost",
	"aws:kms/key:Key":                                             "what it encrypted cannot be read any more",
	"aws:ebs/volume:Volume":                                       "its data is lost",
	"aws:eks/cluster:Cluster":                                     "everything in the cluster is lost",
	"aws:iam/openIdConnectProvider:OpenIdConnectProvider":         "no service account can take its role until it is back",
	"kubernetes:core/v1:Namespace":                                "everything in it is lost, volume claims too",
	"kubernetes:core/v1:PersistentVolume":                         "its data is lost, unless its reclaim policy keeps it",
	"kubernetes:core/v1:PersistentVolumeClaim":                    "its data is lost, unless its volume's reclaim policy keeps it",
	"kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinition": "every object of its kind is lost",
	"kubernetes:apps/v1:StatefulSet":                              volumes,
	"kubernetes:monitoring.coreos.com/v1:Prometheus":              volumes,
	"kubernetes:monitoring.coreos.com/v1:Alertmanager":            volumes,
	"kubernetes:monitoring.coreos.com/v1:ThanosRuler":             volumes,
}

const volumes = "its volumes stay behind, and are found again only under the same name"

// loses is what the change of a resource means for data; empty if nothing.
func loses(c offline.Change) string {
	if c.Way != offline.Replaced && c.Way != offline.Deleted {
		return ""
	}
	lost := stateful[c.Type]
	spec, _ := c.Before["spec"].(map[string]any)
	switch {
	case c.Type == "kubernetes:apps/v1:StatefulSet" && spec["volumeClaimTemplates"] == nil,
		strings.HasPrefix(c.Type, "kubernetes:monitoring.coreos.com/v1:") && spec["storage"] == nil:
		return "" // its pods have no volume of their own
	}
	return lost
}
