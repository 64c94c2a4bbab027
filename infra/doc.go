// Package infra is the AWS side of Kansoku: network, cluster, node groups, buckets, index table and IAM roles, one component each.
// What can be created can also be adopted: an existing VPC, cluster, bucket or table is read and never changed.
//
// It owns nothing inside Kubernetes but what the cluster needs to be one (add-ons and the storage class).
package infra
