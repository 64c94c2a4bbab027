// Command minio-setup makes the buckets, users and policies of a MinIO server as the JSON on its standard input says:
//
//	{"endpoint": "10.0.0.1:9000", "accessKey": "…", "secretKey": "…", "buckets": ["…"],
//	 "users": [{"name": "…", "secret": "…", "policy": {"Version": "2012-10-17", "Statement": […]}}]}
//
// What is there already is brought up to date; nothing is removed. Every user has one policy, of the user's own name.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/minio/madmin-go/v3"
	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

type setup struct {
	Endpoint  string   `json:"endpoint"`
	AccessKey string   `json:"accessKey"`
	SecretKey string   `json:"secretKey"`
	Buckets   []string `json:"buckets"`
	Users     []user   `json:"users"`
}

type user struct {
	Name   string          `json:"name"`
	Secret string          `json:"secret"`
	Policy json.RawMessage `json:"policy"`
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	err := run(ctx)
	cancel()
	if err != nil {
		fmt.Fprintln(os.Stderr, "minio-setup:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	decoder := json.NewDecoder(os.Stdin)
	decoder.DisallowUnknownFields()
	var s setup
	if err := decoder.Decode(&s); err != nil {
		return fmt.Errorf("reading standard input: %w", err)
	}
	keys := credentials.NewStaticV4(s.AccessKey, s.SecretKey, "")
	s3, err := minio.New(s.Endpoint, &minio.Options{Creds: keys})
	if err != nil {
		return fmt.Errorf("endpoint %q: %w", s.Endpoint, err)
	}
	admin, err := madmin.NewWithOptions(s.Endpoint, &madmin.Options{Creds: keys})
	if err != nil {
		return fmt.Errorf("endpoint %q: %w", s.Endpoint, err)
	}
	for _, bucket := range s.Buckets {
		if err := makeBucket(ctx, s3, bucket); err != nil {
			return fmt.Errorf("bucket %s: %w", bucket, err)
		}
	}
	for _, u := range s.Users {
		if err := makeUser(ctx, admin, u); err != nil {
			return fmt.Errorf("user %s: %w", u.Name, err)
		}
	}
	return nil
}

func makeBucket(ctx context.Context, s3 *minio.Client, name string) error {
	exists, err := s3.BucketExists(ctx, name)
	if err != nil {
		return fmt.Errorf("looking: %w", err)
	}
	if exists {
		return nil
	}
	if err := s3.MakeBucket(ctx, name, minio.MakeBucketOptions{}); err != nil {
		return fmt.Errorf("making: %w", err)
	}
	return nil
}

func makeUser(ctx context.Context, admin *madmin.AdminClient, u user) error {
	if err := admin.AddCannedPolicy(ctx, u.Name, u.Policy); err != nil {
		return fmt.Errorf("writing the policy: %w", err)
	}
	if err := admin.AddUser(ctx, u.Name, u.Secret); err != nil {
		return fmt.Errorf("writing the user: %w", err)
	}
	_, err := admin.AttachPolicy(ctx, madmin.PolicyAssociationReq{Policies: []string{u.Name}, User: u.Name})
	var answer madmin.ErrorResponse
	if errors.As(err, &answer) && answer.Code == "XMinioAdminPolicyChangeAlreadyApplied" {
		return nil
	}
	if err != nil {
		return fmt.Errorf("attaching the policy: %w", err)
	}
	return nil
}
