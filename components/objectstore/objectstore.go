// Package objectstore says where long-term data lives: one typed location, rendered for each program that reads or writes it. It
// owns no bucket and does not know whether AWS or another S3-compatible store is behind the endpoint.
package objectstore

import (
	"fmt"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	nativecorev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// Access is what a workload does to the objects of a bucket.
type Access string

// The three kinds of access that the stack knows.
const (
	// Read lists and gets: Thanos store and bucket web.
	Read Access = "read"
	// Write lists, gets and puts: Thanos sidecar, Loki.
	Write Access = "write"
	// Manage also deletes: Thanos compact.
	Manage Access = "manage"
)

// Location is a bucket and how to reach it. Credentials are never part of it: on AWS the service account's role is used, elsewhere
// an existing Secret.
type Location struct {
	// Bucket is the bucket's name. Required.
	Bucket pulumi.StringInput `pulumi:"bucket"`
	// Region of the bucket ("ap-northeast-1"). Required.
	Region pulumi.StringInput `pulumi:"region"`
	// Endpoint is the host, with a port where needed, of an S3-compatible store ("minio.storage.svc:9000"). Default: AWS in Region.
	Endpoint string `pulumi:"endpoint,optional"`
	// Insecure speaks plain HTTP to the endpoint. Default: false.
	Insecure bool `pulumi:"insecure,optional"`
	// CredentialsSecret names an existing Secret, in the workload's namespace, with the keys AWS_ACCESS_KEY_ID and
	// AWS_SECRET_ACCESS_KEY. For S3-compatible stores only; leave empty on AWS.
	CredentialsSecret string `pulumi:"credentialsSecret,optional"`
}

// thanosConfig is the part of Thanos' object store configuration that is set here (thanos-io/objstore, providers/s3).
type thanosConfig struct {
	Type   string   `json:"type"`
	Config thanosS3 `json:"config"`
}

type thanosS3 struct {
	Bucket           string `json:"bucket"`
	Endpoint         string `json:"endpoint"`
	Region           string `json:"region"`
	AWSSDKAuth       bool   `json:"aws_sdk_auth"`
	Insecure         bool   `json:"insecure,omitempty"`
	BucketLookupType string `json:"bucket_lookup_type,omitempty"`
}

// Thanos renders the location as the YAML that Thanos takes in --objstore.config.
func (l Location) Thanos() pulumi.StringOutput {
	return pulumi.All(l.Bucket, l.Region).ApplyT(func(known []any) (string, error) {
		bucket, region := known[0].(string), known[1].(string)
		s3 := thanosS3{Bucket: bucket, Endpoint: l.Endpoint, Region: region, AWSSDKAuth: true, Insecure: l.Insecure}
		if s3.Endpoint == "" {
			s3.Endpoint = fmt.Sprintf("s3.%s.amazonaws.com", region)
		} else {
			s3.BucketLookupType = "path" // a store behind a plain host name has no bucket subdomains
		}
		data, err := yaml.Marshal(thanosConfig{Type: "S3", Config: s3})
		return string(data), err
	}).(pulumi.StringOutput)
}

var credentialKeys = []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}

// Env is the environment through which a container gets its credentials; empty on AWS.
func (l Location) Env() corev1.EnvVarArray {
	var env corev1.EnvVarArray
	for _, v := range l.NativeEnv() {
		env = append(env, &corev1.EnvVarArgs{
			Name: pulumi.String(v.Name),
			ValueFrom: &corev1.EnvVarSourceArgs{SecretKeyRef: &corev1.SecretKeySelectorArgs{
				Name: pulumi.String(v.ValueFrom.SecretKeyRef.Name), Key: pulumi.String(v.ValueFrom.SecretKeyRef.Key),
			}},
		})
	}
	return env
}

// NativeEnv is Env for a custom resource.
func (l Location) NativeEnv() []nativecorev1.EnvVar {
	if l.CredentialsSecret == "" {
		return nil
	}
	env := make([]nativecorev1.EnvVar, len(credentialKeys))
	for i, key := range credentialKeys {
		env[i] = nativecorev1.EnvVar{Name: key, ValueFrom: &nativecorev1.EnvVarSource{SecretKeyRef: &nativecorev1.SecretKeySelector{
			LocalObjectReference: nativecorev1.LocalObjectReference{Name: l.CredentialsSecret}, Key: key,
		}}}
	}
	return env
}
